"""What template.yaml connects with what: functions with their rights, sizes, network, settings and callers, the event
source with Kafka, the schedule with redrive, the stack with whoever deployed it.

.ci/template holds each set of parameters against it, resolved as CloudFormation would, for MiniStack keeps little of
this; .ci/template_faults.py proves that it looks.
"""

from sam_template import resolved

# What the manual says of who has said nothing.
DEFAULTS = {"Architecture": "arm64", "Authorizer": "iam", "AllowAnonymous": "false", "Kafka": "none", "ProvisionedPollers": "0"}
OUTPUTS = {
    "ApiUrl": {"Fn::GetAtt": ["Api", "ApiEndpoint"]},
    **{name: {"Ref": name} for name in ("Table", "AlarmTopic", "CreateFunction", "GetFunction", "ProcessFunction", "RedriveFunction")},
}
MOST_POLLERS = 200


def settings(given):
    """Each variable's value by the parameters; empty, there is none."""
    user, ca, kafka = given["KafkaSecretArn"], given["KafkaCaSecretArn"], given["Kafka"]
    tls = kafka != "none" and given["KafkaProtocol"] == "tls"
    way_in = "AWS_MSK_IAM" if kafka == "msk" and not user else "SCRAM-SHA-512"
    of_all = {"TABLE_NAME": "Table", "RUST_LOG": given["LogLevel"]}
    of_callers = {"TENANT_CLAIM": given["JwtTenantClaim"]}
    of_producers = {
        "KAFKA_BOOTSTRAP_SERVERS": given["KafkaBootstrapServers"] if kafka != "none" else "none",
        "KAFKA_TOPIC": given["KafkaTopic"],
        "KAFKA_GROUP_ID": given["KafkaGroupId"],
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL" if tls else "",
        "KAFKA_SASL_MECHANISM": way_in if tls else "",
        "KAFKA_SASL_USERNAME_ARN": user and f"{user}#username",
        "KAFKA_SASL_PASSWORD_ARN": user and f"{user}#password",
        "KAFKA_CA_PEM_ARN": ca and f"{ca}#certificate",
    }
    of_senders = {
        **{f"{channel.upper()}_PROVIDER": given[f"{channel}Provider"] for channel in ("Email", "Sms", "Push")},
        **{f"{channel.upper()}_PROVIDER_ARN": given[f"{channel}ProviderSecretArn"] for channel in ("Email", "Sms", "Push")},
        "WEBHOOK_SECRET_ARN": given["WebhookSecretArn"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": given["OtlpEndpoint"],
        "OTEL_EXPORTER_OTLP_HEADERS_ARN": given["OtlpHeadersSecretArn"],
        "SEND_TIMEOUT": given["SendTimeout"],
        "RETRY_MAX_ATTEMPTS": given["RetryMaxAttempts"],
        "RETRY_BASE": given["RetryBase"],
        "RETRY_CAP": given["RetryCap"],
        "ON_UNKNOWN": given["OnUnknown"],
        "RETENTION": given["Retention"],
        "METRICS_NAMESPACE": "AWS::StackName",
    }
    return {
        "create": of_all | of_callers | of_producers | of_senders,
        "get": of_all | of_callers,
        "process": of_all | of_senders,
        "redrive": of_all | of_producers | of_senders,
    }


def functions(template, given):
    findings = []
    for name, variables in settings(given).items():
        title = name.capitalize()
        is_so = resolved(template["Resources"][f"{title}Function"]["Properties"], template, given)
        concurrency = given[f"{title}Concurrency"]
        wanted = {
            "Role": {"Fn::GetAtt": [f"{title}Role", "Arn"]},
            "Architectures": [given["Architecture"]],
            "MemorySize": given[f"{title}Memory"],
            "Timeout": given[f"{title}Timeout"],
            "ReservedConcurrentExecutions": concurrency if concurrency != "0" else None,
            "VpcConfig": {ids: given[ids].split(",") for ids in ("SubnetIds", "SecurityGroupIds")} if given["SubnetIds"] else None,
        }
        findings += [f"wiring: {part} of {name} is {is_so.get(part)}, not {one}" for part, one in wanted.items() if is_so.get(part) != one]
        has = is_so["Environment"]["Variables"]
        wants = {variable: value for variable, value in variables.items() if value != ""}
        odd = sorted(variable for variable in {*has, *wants} if has.get(variable) != wants.get(variable))
        findings += [f"wiring: {variable} of {name} is {has.get(variable)}, not {wants.get(variable)}" for variable in odd]
    return findings


def event_source(template, given):
    """The one that the parameters ask for, with all that it has to know."""
    kinds = {"MskEvents": "msk", "KafkaEvents": "self-managed"}
    findings, user = [], given["KafkaSecretArn"]
    signs_in = [{"Type": "SASL_SCRAM_512_AUTH", "URI": user}] if user else []
    for name, kind in kinds.items():
        source = template["Resources"][name]
        if resolved(template["Conditions"][source["Condition"]], template, given) != (given["Kafka"] == kind):
            findings.append(f"event source: {name} is not by Kafka={given['Kafka']}")
        if given["Kafka"] != kind:
            continue
        wanted = {
            "FunctionName": "ProcessFunctionAliaslive",
            "Topics": [given["KafkaTopic"]],
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": given["BatchSize"],
            "MaximumBatchingWindowInSeconds": given["BatchWindow"],
        }
        if given["ProvisionedPollers"] != "0":
            wanted["ProvisionedPollerConfig"] = {"MinimumPollers": given["ProvisionedPollers"], "MaximumPollers": MOST_POLLERS}
        if kind == "msk":
            # Its network is its cluster's.
            access = signs_in
            wanted |= {"EventSourceArn": given["MskClusterArn"], "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": given["KafkaGroupId"]}}
        else:
            places = [("VPC_SUBNET", "subnet", "SubnetIds"), ("VPC_SECURITY_GROUP", "security_group", "SecurityGroupIds")]
            access = [{"Type": kind, "URI": f"{word}:{id}"} for kind, word, ids in places for id in given[ids].split(",") if id] + signs_in
            if given["KafkaCaSecretArn"]:
                access.append({"Type": "SERVER_ROOT_CA_CERTIFICATE", "URI": given["KafkaCaSecretArn"]})
            brokers = given["KafkaBootstrapServers"].split(",")
            wanted |= {"SelfManagedEventSource": {"Endpoints": {"KafkaBootstrapServers": brokers}}, "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": given["KafkaGroupId"]}}
        if access:
            wanted["SourceAccessConfigurations"] = access
        has = resolved(source["Properties"], template, given)
        odd = sorted(part for part in {*has, *wanted} if has.get(part) != wanted.get(part))
        findings += [f"event source: {part} is {has.get(part)}, not {wanted.get(part)}" for part in odd]
    return findings


def schedule(template):
    rules = [one["Properties"] for one in template["Resources"].values() if one["Type"] == "AWS::Events::Rule"]
    has = [(rule["ScheduleExpression"], rule.get("State", "ENABLED"), [(target["Arn"], target.get("Input")) for target in rule["Targets"]]) for rule in rules]
    wanted = [("rate(1 minute)", "ENABLED", [({"Ref": "RedriveFunctionAliaslive"}, "{}")])]
    return [] if has == wanted else [f"schedule: it is {has}, not {wanted}"]


def callers(template):
    """Who may call a function, and by its alias only: the API and the schedule, and nobody else."""
    kind = "AWS::Lambda::Permission"
    of_api = {"Fn::Sub": "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*"}
    of_schedule = {"Fn::GetAtt": ["RedriveFunctionEveryMinute", "Arn"]}

    # All of the resource: by a condition it could be gone.
    def right(function, service, source):
        return {"Type": kind, "Properties": {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": f"{function}Aliaslive"}, "Principal": service, "SourceArn": source}}

    wanted = {
        "CreatePermission": right("CreateFunction", "apigateway.amazonaws.com", of_api),
        "GetPermission": right("GetFunction", "apigateway.amazonaws.com", of_api),
        "RedriveFunctionEveryMinutePermission": right("RedriveFunction", "events.amazonaws.com", of_schedule),
    }
    has = {name: one for name, one in template["Resources"].items() if one["Type"] == kind}
    odd = sorted(name for name in {*has, *wanted} if has.get(name) != wanted.get(name))
    return [f"callers: {name} is {has.get(name)}, not {wanted.get(name)}" for name in odd]


def told(template):
    """Before and after a deployment: what holds where nothing is said, and what the stack gives out."""
    defaults = {name: str(template["Parameters"][name].get("Default")) for name in DEFAULTS}
    findings = [f"told: {name} is {defaults[name]} by default, not {wanted}" for name, wanted in DEFAULTS.items() if defaults[name] != wanted]
    outputs = {name: one["Value"] for name, one in template["Outputs"].items()}
    return findings + [f"told: {name} is {outputs.get(name)}, not {wanted}" for name, wanted in OUTPUTS.items() if outputs.get(name) != wanted]


def findings_of(template, given):
    return functions(template, given) + event_source(template, given) + schedule(template) + told(template)
