"""Faults that .ci/template has to see: each is sown into template.yaml, alone, and must be found.

FAULTS: what it is, the text that it replaces, the text that stands there instead, and a part of the finding.
REFUSALS: parameters that can't work, and a part of the sentence by which CloudFormation must refuse them.
"""

from sam_template import BROKERS, CLUSTER, SECRET, VPC

FAULTS = [
    # --- What the linter sees, most of it only after the transform ---
    ("a runtime that does not exist", "Runtime: provided.al2023", "Runtime: provided.al2024", "cfn-lint E"),
    ("memory below the least", "MemorySize: !Ref CreateMemory", "MemorySize: 64", "cfn-lint E"),
    ("a rate without its grammar", "rate(1 minute)", "rate(1 minutes)", "cfn-lint E"),
    ("a billing mode of nobody's", "BillingMode: PAY_PER_REQUEST", "BillingMode: ON_DEMAND", "cfn-lint E"),
    ("an index without a projection of its kind", "ProjectionType: KEYS_ONLY", "ProjectionType: KEYS", "cfn-lint E"),
    ("a reference to nothing", "Role: !GetAtt CreateRole.Arn", "Role: !GetAtt CreatorRole.Arn", "cfn-lint E"),
    ("a condition that is not defined", "Condition: HasEmail", "Condition: HasMail", "cfn-lint E"),
    ("a right that AWS does not know", "'dynamodb:PutItem'", "'dynamodb:PutItems'", "cfn-lint W3037"),
    ("a property that there is not", "RetentionInDays", "RetentionDays", "cfn-lint E"),
    ("a switch of another name", "AutoDeploy: true", "AutoDeployed: true", "cfn-lint E"),
    ("a number that is none", "BatchSize: !Ref BatchSize", "BatchSize: many", "cfn-lint E"),
    ("a start in the middle of nowhere", "StartingPosition: TRIM_HORIZON", "StartingPosition: EARLIEST", "cfn-lint E"),
    ("an alarm on no statistic", "Statistic: Sum", "Statistic: Total", "cfn-lint E"),
    ("silence that means nothing", "TreatMissingData: breaching", "TreatMissingData: alarming", "cfn-lint E"),
    ("a parameter that nobody uses", "  AlarmEmail:\n", "  Forgotten: {Type: String}\n  AlarmEmail:\n", "cfn-lint W2001"),
    # --- What the linter can't know ---
    ("a misspelt setting", "SEND_TIMEOUT: !Ref", "SENDTIMEOUT: !Ref", "settings: create does not read SENDTIMEOUT"),
    ("a setting of another function's", "TABLE_NAME: !Ref Table", "TABLE_NAME: !Ref Table\n        ON_UNKNOWN: retry", "settings: get does not read ON_UNKNOWN"),
    ("a value that the function refuses", "ON_UNKNOWN: !Ref OnUnknown", "ON_UNKNOWN: perhaps", "does not start with what it is given: ON_UNKNOWN"),
    ("another index", "IndexName: due\n", "IndexName: late\n", "table: indexes"),
    ("an index by another attribute", "AttributeName: dueAt, KeyType", "AttributeName: userKey, KeyType", "table: indexes"),
    ("TTL on another attribute", "AttributeName: ttl", "AttributeName: expires", "table: TTL"),
    ("a table that goes with its stack", "    DeletionPolicy: Retain\n", "", "it stays when the stack goes"),
    ("no way back in time", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false", "it can be brought back"),
    ("no protection", "DeletionProtectionEnabled: !If [IsDev, false, true]", "DeletionProtectionEnabled: false", "deleted by mistake"),
    ("a route that is missing", "RouteKey: POST /api/notifications/{id}/cancel", "RouteKey: POST /api/cancel", "is in OpenAPI and is no route"),
    ("a route to the wrong function", "Target: !Sub integrations/${CreateIntegration}", "Target: !Sub integrations/${GetIntegration}", "is get's here and create's in Cargo.toml"),
    ("no answer for the unknown", "RouteKey: $default", "RouteKey: GET /api/default", "is nobody's here"),
    ("a door left open", "AuthorizationType: !If [ByIam, AWS_IAM, !If [ByJwt, JWT, NONE]]", "AuthorizationType: NONE", "asks for NONE"),
    ("a count of lines that nobody writes", '"attempt finished"', '"attempt ended"', "logs: CreateEnded counts a line that nobody writes"),
    ("an alarm on what nobody counts", "MetricName: RedriveLeft\n      Statistic", "MetricName: Left\n      Statistic", "metrics: Left is shown"),
    ("a dashboard that is no JSON", '{"widgets": [', '{"widgets": {', "dashboard: it is no JSON"),
    ("a field that a line does not have", "$.status", "$.state", "logs: CreateEnded asks for state"),
]

WEBHOOK = "webhook+https://mail.example/send"
REFUSALS = [
    ({"Authorizer": "none"}, "say AllowAnonymous=true"),
    ({"Environment": "prod", "EmailProvider": WEBHOOK, "WebhookSecretArn": SECRET, "Authorizer": "none", "AllowAnonymous": "true"}, "needs an Authorizer"),
    ({"Environment": "prod", "EmailProvider": WEBHOOK, "WebhookSecretArn": SECRET, "AllowAnonymous": "true"}, "not for prod"),
    ({"Environment": "prod"}, "The provider dev: sends nothing"),
    ({"Authorizer": "jwt", "JwtAudience": "a"}, "needs JwtIssuer"),
    ({"Authorizer": "jwt", "JwtIssuer": "https://login.example/"}, "needs JwtAudience"),
    ({"JwtIssuer": "http://login.example/"}, "beginning with https://"),
    ({"CorsOrigins": "https://a.example/"}, "origins as a browser sends them"),
    ({"EmailProvider": ""}, "Every channel is off"),
    ({"EmailProvider": "smtp://mail.example"}, "must be dev: or webhook+https://"),
    ({"SmsProvider": "webhook+https://user:password@sms.example/"}, "in clear"),
    ({"PushProvider": WEBHOOK}, "Give WebhookSecretArn"),
    ({"SendTimeout": "16s"}, "must be 1s to 15s"),
    ({"Retention": "3651d"}, "must be 1d to 3650d"),
    ({"RetryCap": "721h"}, "must be 1h to 720h"),
    ({"Kafka": "msk", "MskClusterArn": CLUSTER, **VPC}, "Give KafkaBootstrapServers"),
    ({"Kafka": "msk", **BROKERS, **VPC}, "needs MskClusterArn"),
    ({"Kafka": "msk", "MskClusterArn": CLUSTER, **BROKERS}, "only inside a VPC"),
    ({"Kafka": "self-managed", "MskClusterArn": CLUSTER, **BROKERS, **VPC}, "MskClusterArn is for Kafka=msk"),
    ({"Kafka": "self-managed", "KafkaSecretArn": SECRET, **BROKERS, **VPC}, "KafkaSecretArn is for Kafka=msk"),
    ({**BROKERS}, "With Kafka=none there is no Kafka to name"),
    ({"KafkaBootstrapServers": "kafka.example"}, "must be host:port"),
    ({"SubnetIds": VPC["SubnetIds"]}, "belong together"),
    ({"SubnetIds": "subnet-0a1b2c3d", "SecurityGroupIds": "sg-0a1b2c3d"}, "two or more subnets"),
    ({"CreateTimeout": "30"}, "CreateTimeout"),
]
