"""template.yaml as CloudFormation gets it, and the sets of parameters with which it is tried.

Used by .ci/template and .ci/deploy-here.
"""

import logging
import os
import pathlib
import re
import tomllib

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parent.parent
REGION = "eu-central-1"
FUNCTIONS = ["create", "get", "process", "redrive"]
os.environ["AWS_DEFAULT_REGION"] = REGION  # where the transform looks for it
logging.getLogger("samtranslator").setLevel(logging.CRITICAL)  # what matters is raised

# What an operator has to bring. None of it exists; all of it has the right form.
ARN = f"arn:aws:{{}}:{REGION}:000000000000:"
SECRET = ARN.format("secretsmanager") + "secret:webhook-AbCdEf"
PROVIDER_SECRET = ARN.format("secretsmanager") + "secret:mail-AbCdEf"
VPC = {"SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b", "SecurityGroupIds": "sg-0a1b2c3d"}
# As large as it may be.
WIDE_VPC = {"SubnetIds": "subnet-0a1b2c3d,subnet-1a1b2c3d,subnet-2a1b2c3d,subnet-3a1b2c3d", "SecurityGroupIds": "sg-0a1b2c3d,sg-1a1b2c3d,sg-2a1b2c3d"}
KAFKA_SECRET = ARN.format("secretsmanager") + "secret:AmazonMSK_notifications-AbCdEf"
OTLP_SECRET = ARN.format("secretsmanager") + "secret:collector-AbCdEf"
CA_SECRET = ARN.format("secretsmanager") + "secret:kafka-ca-AbCdEf"
KEY = {"SecretsKeyArn": ARN.format("kms") + "key/0a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d"}
BROKERS = {"KafkaBootstrapServers": "b-1.kafka.example:9092,b-2.kafka.example:9092"}
# Neither our region nor our account: what it has is named after it, not after us.
CLUSTER = "arn:aws:kafka:eu-west-1:111111111111:cluster/notifications/0a1b2c3d-4e5f-6a7b-8c9d-0e1f2a3b4c5d-1"
WEBHOOK = {"EmailProvider": "webhook+https://mail.example/send", "WebhookSecretArn": SECRET}
BROUGHT = {
    "dev": {"Authorizer": "none", "AllowAnonymous": "true"},
    "staging": {**WEBHOOK, "PushProvider": "dev:", "SmsProviderSecretArn": PROVIDER_SECRET, "CorsOrigins": "https://a.example,https://b.example", "TableStream": "KEYS_ONLY"},
    "prod": {
        **WEBHOOK,
        "SmsProvider": "webhook+https://sms.example/send",
        "Authorizer": "jwt",
        "JwtIssuer": "https://login.example/",
        "JwtAudience": "notifications",
        "JwtTenantClaim": "https://login.example/tenant",
        "OtlpEndpoint": "https://collector.example:4318",
        "OtlpHeadersSecretArn": OTLP_SECRET,
        "AlarmEmail": "on-call@example.com",
        "CreateConcurrency": "50",
    },
}
KAFKA = {
    "none": {},
    "msk": {"Kafka": "msk", "MskClusterArn": CLUSTER, "ProvisionedPollers": "2", **BROKERS, **VPC},
    "self-managed": {"Kafka": "self-managed", "KafkaSecretArn": KAFKA_SECRET, **BROKERS},
}
# Beside each stage with each of these.
MORE_KAFKA = {
    "dev, Kafka in plaintext": {"Kafka": "self-managed", "KafkaProtocol": "plaintext", **BROKERS, **VPC},
    "staging, Kafka with a CA of its own": {**KAFKA["self-managed"], "KafkaCaSecretArn": CA_SECRET, **WIDE_VPC, **KEY},
    "staging, Kafka msk with a user": {**KAFKA["msk"], "KafkaSecretArn": KAFKA_SECRET, **KEY},
}
# What is empty in a set, for the linter: it also looks at the branches that the set does not take.
EXAMPLES = {
    **WEBHOOK,
    **BROKERS,
    **VPC,
    **KEY,
    "MskClusterArn": CLUSTER,
    "KafkaSecretArn": KAFKA_SECRET,
    "KafkaCaSecretArn": CA_SECRET,
    "EmailProviderSecretArn": PROVIDER_SECRET,
    "SmsProviderSecretArn": PROVIDER_SECRET,
    "PushProviderSecretArn": PROVIDER_SECRET,
    "OtlpEndpoint": "https://collector.example:4318",
    "OtlpHeadersSecretArn": OTLP_SECRET,
    "JwtIssuer": "https://login.example/",
    "JwtTenantClaim": "tenant",
}


def source():
    return (ROOT / "template.yaml").read_text()


def of_samconfig(stage):
    """The parameters that samconfig.toml gives a stage; `default` is dev."""
    given = samconfig()["default" if stage == "dev" else stage]["global"]["parameters"]["parameter_overrides"]
    return dict(one.split("=", 1) for one in given)


def samconfig():
    return tomllib.loads((ROOT / "samconfig.toml").read_text())


def misplaced(config):
    """What one of sam's commands would read and another one would not: `sam build` has to build for the Architecture
    that `sam deploy` says; and the workflow's one build for that of all stages. And what would be of another stage."""
    findings, architectures = [], set()
    for section, commands in config.items():
        if section == "version":
            continue
        own = [(command, name) for command in commands if command != "global" for name in ("parameter_overrides", "stack_name") if name in commands[command]["parameters"]]
        findings += [f"samconfig: {section}.{command} has {name} of its own" for command, name in own]
        of_all, stage = commands["global"]["parameters"], "dev" if section == "default" else section
        given = dict(one.split("=", 1) for one in of_all.get("parameter_overrides", []))
        architectures.add(given.get("Architecture", "as by default"))
        if given.get("Environment") != stage:
            findings.append(f"samconfig: Environment of {section} is {given.get('Environment')}, not {stage}")
        if of_all.get("stack_name") != f"notifications-{stage}":
            findings.append(f"samconfig: stack_name of {section} is {of_all.get('stack_name')}, not notifications-{stage}")
        if stage == "prod" and given.get("GradualDeployment") != "true":
            findings.append("samconfig: prod is not deployed gradually")
    return findings + ([f"samconfig: its stages are built for {sorted(architectures)}, and the workflow builds once"] if len(architectures) > 1 else [])


def sets():
    """Each stage with each Kafka, as (name, parameters). The last but one, prod on MSK, is what faults are sown into."""
    kafkas = {**MORE_KAFKA, **{f"{stage}, Kafka {kafka}": KAFKA[kafka] for stage in BROUGHT for kafka in KAFKA}}
    stages = {name: name.split(",")[0] for name in kafkas}
    return [(name, {**of_samconfig(stages[name]), **BROUGHT[stages[name]], **kafka}) for name, kafka in kafkas.items()]


class NoManagedPolicies:
    """The template names none of AWS's managed policies, so nobody has to be asked for their ARNs."""

    def load(self):
        return {}


def transformed(text, parameters, code=None):
    """What AWS makes of the template. `code` is where each function's zip lies, by the function's name."""
    template = yaml_parse(text)
    for name in FUNCTIONS:
        template["Resources"][f"{name.capitalize()}Function"]["Properties"]["CodeUri"] = (code or "s3://code/{}.zip").format(name)
    return transform(template, {"AWS::Region": REGION, **parameters}, NoManagedPolicies())


def with_defaults(template, parameters):
    """Every parameter, as text."""
    return {name: str(parameters.get(name, one.get("Default", ""))) for name, one in template["Parameters"].items()}


def resolved(value, template, given):
    """What CloudFormation makes of the intrinsic functions over parameters in a part of the template; a property without
    a value is gone."""
    nothing = object()

    def of(value):
        if isinstance(value, list):
            return [one for one in map(of, value) if one is not nothing]
        if not isinstance(value, dict):
            return value
        if len(value) != 1:
            return {name: one for name, one in ((name, of(one)) for name, one in value.items()) if one is not nothing}
        ((name, told),) = value.items()
        match name:
            case "Ref":
                return nothing if told == "AWS::NoValue" else given.get(told, told)
            case "Fn::If":
                return of(told[1] if of(template["Conditions"][told[0]]) else told[2])
            case "Condition":
                return of(template["Conditions"][told])
            case "Fn::Equals":
                first, second = map(of, told)
                return str(first) == str(second)
            case "Fn::Not":
                return not of(told[0])
            case "Fn::And":
                return all(map(of, told))
            case "Fn::Or":
                return any(map(of, told))
            case "Fn::Split":
                return of(told[1]).split(told[0])
            case "Fn::Select":
                return of(told[1])[int(told[0])]
            case "Fn::Sub":
                text, names = told if isinstance(told, list) else (told, {})
                return re.sub(r"\$\{([\w:]+)\}", lambda name: of(names[name[1]]) if name[1] in names else given.get(name[1], name[1]), text)
        return {name: of(told)}

    return of(value)
