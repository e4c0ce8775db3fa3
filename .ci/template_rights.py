"""What each role of template.yaml may do, as deployed, held against what the function is given to do: by its settings
where they tell (secrets), else by AWS's own lists, in a table (Kafka, the VPC). Too much is found as too little is.

The store's rights are not looked at here: .ci/deploy-here holds them against the calls that the functions make. Who may
take a role on is told by the text alone.
"""

import re

FUNCTIONS = ["create", "get", "process", "redrive"]
# https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html: a producer that is idempotent.
PRODUCES = {"cluster": ["Connect", "WriteDataIdempotently"], "topic": ["DescribeTopic", "WriteData"]}
# https://docs.aws.amazon.com/lambda/latest/dg/msk-permissions.html: the event source, in the name of `process`.
CONSUMES = {
    "cluster": ["Connect", "DescribeClusterDynamicConfiguration"],
    "topic": ["DescribeTopic", "ReadData"],
    "group": ["DescribeGroup", "AlterGroup"],
}
BY_IAM = {"create": PRODUCES, "get": {}, "process": CONSUMES, "redrive": PRODUCES}
OF_A_VPC = ["CreateNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "DeleteNetworkInterface", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"]
OF_A_SOURCE_IN_A_VPC = ["DescribeVpcs", "DescribeSecurityGroups"]
# Of a stack that is deployed gradually, which has the most roles; the last one is SAM's, and in its words.
ASSUMED_BY = {
    **{f"{name.capitalize()}Role": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}] for name in FUNCTIONS},
    "CodeDeployServiceRole": [{"Effect": "Allow", "Principal": {"Service": ["codedeploy.amazonaws.com"]}, "Action": ["sts:AssumeRole"]}],
}


def listed(value):
    return value if isinstance(value, list) else [value]


def assumed(template):
    """Who may act as each role: one service, and nobody else. `template` was transformed with GradualDeployment=true."""
    has = {name: one["Properties"]["AssumeRolePolicyDocument"]["Statement"] for name, one in template["Resources"].items() if one["Type"] == "AWS::IAM::Role"}
    odd = sorted(name for name in {*has, *ASSUMED_BY} if has.get(name) != ASSUMED_BY.get(name))
    return [f"assumed: {name} is by {has.get(name)}, not by {ASSUMED_BY.get(name)}" for name in odd]


def granted(stack, role):
    """(action, resource) of a role's own policies and of those that are attached to it."""
    iam = stack.client("iam")
    documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in iam.list_role_policies(RoleName=role)["PolicyNames"]]
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        documents.append(iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"])
    statements = [statement for document in documents for statement in document["Statement"]]
    return {(action, resource) for one in statements for action in listed(one["Action"]) for resource in listed(one["Resource"])}


def needed(function, environment, given):
    """`given`: the parameters, defaults included."""
    kafka, in_vpc, is_source = given["Kafka"], given["SubnetIds"] != "", function == "process" and given["Kafka"] != "none"
    secrets = {value.partition("#")[0] for name, value in environment.items() if name.endswith("_ARN")}
    if is_source:
        secrets |= {given["KafkaSecretArn"], given["KafkaCaSecretArn"]} - {""}
    rights = {("secretsmanager:GetSecretValue", arn) for arn in secrets}
    if secrets and given["SecretsKeyArn"]:
        rights.add(("kms:Decrypt", given["SecretsKeyArn"]))
    if in_vpc:
        rights |= {(f"ec2:{action}", "*") for action in OF_A_VPC + (OF_A_SOURCE_IN_A_VPC if is_source else [])}
    if kafka == "msk":
        cluster = given["MskClusterArn"]
        names = {"cluster": "", "topic": f"/{given['KafkaTopic']}", "group": f"/{given['KafkaGroupId']}"}
        if is_source:
            rights |= {(f"kafka:{action}", cluster) for action in ("DescribeClusterV2", "GetBootstrapBrokers")}
        if given["KafkaProtocol"] == "tls" and not given["KafkaSecretArn"]:
            for kind, actions in BY_IAM[function].items():
                resource = re.sub(r":cluster/", f":{kind}/", cluster) + names[kind]
                rights |= {(f"kafka-cluster:{action}", resource) for action in actions}
    return rights


def compare(stack, made, environments, given):
    findings = []
    for function in FUNCTIONS:
        log = made[f"{function.capitalize()}Log"]
        has = granted(stack, made[f"{function.capitalize()}Role"])
        logs = {right for right in has if right[0].startswith("logs:")}
        if {action for action, _ in logs} != {"logs:CreateLogStream", "logs:PutLogEvents"} or any(log not in resource for _, resource in logs):
            findings.append(f"rights: {function} may do this of logs: {sorted(logs)}")
        has = {right for right in has - logs if not right[0].startswith("dynamodb:")}
        wants = needed(function, environments[function], given)
        findings += [f"rights: {function} needs {action} on {what}" for action, what in sorted(wants - has)]
        findings += [f"rights: {function} may {action} on {what}, and does not need it" for action, what in sorted(has - wants)]
    return findings
