"""Holds template.yaml against its linter, and what MiniStack makes of it against the code. .ci/template runs it.

Every check gives a list of findings, sentences for whoever reads the log. Each set of parameters must have none,
each fault of template_faults.py the one that it is there for, and each parameter that can't work its refusal.
"""

import concurrent.futures
import contextlib
import json
import pathlib
import re
import socket
import sys
import tempfile
import tomllib
import urllib.request

import botocore
import cfnlint.api
import ministack
import sam_template
import template_rights
import template_watching
import template_wiring
from cfnlint.config import ManualArgs
from sam_template import CA_SECRET, FUNCTIONS, KAFKA_SECRET, OTLP_SECRET, PROVIDER_SECRET, REGION, ROOT, SECRET
from template_faults import FAULTS, OF_SAMCONFIG, OF_THE_TRANSFORM, REFUSALS

BINARIES = pathlib.Path(sys.argv[1])
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"
# With which the findings begin that are told by the text alone.
OF_THE_TEXT = {"kept", "alarms", "gradual", "assumed", "wiring", "event source", "schedule", "callers", "told"}
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def lint(template, parameters):
    """cfn-lint takes a parameter's value from its default."""
    given = {**{n: v for n, v in sam_template.EXAMPLES.items() if not parameters.get(n)}, **parameters}
    typed = {**template["Parameters"]}
    for name, value in given.items():
        typed[name] = {**typed[name], "Default": int(value) if typed[name]["Type"] == "Number" else value}
    found = cfnlint.api.lint(json.dumps({**template, "Parameters": typed}), config=ManualArgs(regions=[REGION]))
    # The transform has used that one up.
    found = [one for one in found if one.message != "Parameter GradualDeployment not used."]
    return [f"cfn-lint {one.rule.id}: {one.message}" for one in found]


# --- What was deployed, against the code ---


class Code:
    """What the code says: read from the binaries where they can tell, else from the files that they are built from."""

    def __init__(self, stack, work):
        self.work = work
        self.settings = settings_of_the_manual()
        self.kept_secret = {name.removesuffix("_ARN") for name in self.settings if name.endswith("_ARN")}
        self.metrics = metrics_of_the_manual()
        self.router = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["metadata"]["lambda"]["watch"]["router"]
        self.openapi = served_openapi(work)
        self.sources = "\n".join(path.read_text() for part in ("shared", "functions") for path in (ROOT / part).rglob("src/**/*.rs"))
        store = {"STORE": "dynamodb", "AWS_ENDPOINT_URL_DYNAMODB": stack.endpoint, "AWS_REGION": REGION}
        keys = {"AWS_ACCESS_KEY_ID": "test1", "AWS_SECRET_ACCESS_KEY": "test1", "TABLE_NAME": "made-by-create-table"}
        with ministack.process("create-table", [BINARIES / "server", "create-table"], work / "table.log", **store, **keys) as made:
            if made.wait(30) != 0:
                sys.exit(f"template: create-table failed: {(work / 'table.log').read_text()}")
        self.table = table(stack, "made-by-create-table")
        user, ca = {"username": "notifications", "password": "a-password"}, {"certificate": one_certificate()}
        kept = {SECRET: SIGNING, KAFKA_SECRET: json.dumps(user), CA_SECRET: json.dumps(ca), OTLP_SECRET: "x-key=a%20key", PROVIDER_SECRET: "webhook+https://mail.example/send?key=1"}
        secrets = stack.client("secretsmanager")
        self.secrets = {arn: secrets.create_secret(Name=arn.split(":")[-1], SecretString=text)["ARN"] for arn, text in kept.items()}


def one_certificate():
    """Anybody's: it is only read."""
    first, end, _ = pathlib.Path(botocore.__file__).with_name("cacert.pem").read_text().partition("-----END CERTIFICATE-----\n")
    return first[first.index("-----BEGIN") :] + end


def settings_of_the_manual():
    """Each setting's readers, by its name. A test of the code holds the manual's table against the code."""
    readers = {}
    for row in (ROOT / "docs/settings.md").read_text().splitlines():
        if row.startswith("| `"):
            cells = row.split(" | ")
            for name in re.findall(r"`(\w+)`", cells[0]):
                readers[name] = FUNCTIONS if cells[-1].startswith("all ") else cells[-1].removesuffix(" |").split(", ")
    return readers


def metrics_of_the_manual():
    """Each metric that the functions write, and the dimension that it has, None for none. A test of the code holds the page's table against the code."""
    dimensions = {}
    for row in (ROOT / "docs/metrics.md").read_text().splitlines():
        if row.startswith("| `notifications_"):
            _, _, _, _, name, _, dimension, _, _ = (cell.strip() for cell in row.split("|"))
            if name.startswith("`"):
                dimensions[name.strip("`")] = dimension or None
    return dimensions


def served_openapi(work):
    settings = {"LISTEN_ADDR": "127.0.0.1:0", "DATA_DIR": str(work / "data"), "RUST_LOG": "warn"}
    log = work / "server.log"
    with ministack.process("server", [BINARIES / "server"], log, **settings):
        base = ministack.until("server", lambda: next(iter(re.findall(r"listening on (\S+)", log.read_text())), None))
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return json.load(direct.open(f"{base}/api/openapi.json", timeout=30))


def table(stack, name):
    """What create-table decides about a table."""
    dynamodb = stack.client("dynamodb")
    made = dynamodb.describe_table(TableName=name)["Table"]
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    indexes = {i["IndexName"]: (i["KeySchema"], i["Projection"]) for i in made["GlobalSecondaryIndexes"]}
    attributes = sorted((one["AttributeName"], one["AttributeType"]) for one in made["AttributeDefinitions"])
    return {
        "key": made["KeySchema"],
        "attributes": attributes,
        "indexes": indexes,
        "billing": made["BillingModeSummary"]["BillingMode"],
        "TTL": {"Enabled": ttl["TimeToLiveStatus"] == "ENABLED", "AttributeName": ttl.get("AttributeName")},
    }


def compare_table(stack, made, code, template):
    deployed = table(stack, made["Table"])
    # MiniStack leaves it out where CloudFormation makes the table.
    deployed["TTL"] = template["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    return [f"table: {part} is {deployed[part]}, create-table makes {code.table[part]}" for part in deployed if deployed[part] != code.table[part]]


def compare_keeping(template):
    """What keeps the table, beside what create-table decides."""
    kept = template["Resources"]["Table"]
    properties = kept["Properties"]
    wanted = {
        "it stays when the stack goes": kept.get("DeletionPolicy") == kept.get("UpdateReplacePolicy") == "Retain",
        "it can be brought back to any second": properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True},
        "it is encrypted": properties["SSESpecification"] == {"SSEEnabled": True},
        "it can't be deleted by mistake": properties["DeletionProtectionEnabled"] == {"Fn::If": ["IsDev", False, True]},
    }
    return [f"kept: not so: {what}" for what, so in wanted.items() if not so]


def environments_of(stack, made):
    """Each function's variables, as deployed."""

    def of(name):
        return stack.client("lambda").get_function_configuration(FunctionName=made[f"{name.capitalize()}Function"])["Environment"]["Variables"]

    return {name: of(name) for name in FUNCTIONS}


def compare_settings(environments, stack, code):
    """Each variable is a setting that its function reads, and each function starts with what it is given."""
    findings = []
    for name in FUNCTIONS:
        strange = sorted(variable for variable in environments[name] if name not in code.settings.get(variable, []))
        findings += [f"settings: {name} does not read {variable}" for variable in strange]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        starts = pool.map(lambda name: start(name, environments[name], stack, code.work), FUNCTIONS)
    return findings + [finding for finding in starts if finding]


STARTED = set()  # what has started once starts again


def start(name, environment, stack, work):
    """Starts the real function at a Runtime API that is only there: once it asks for its first event, it had all it needs."""
    key = (name, *sorted(environment.items()))
    if key in STARTED:
        return None
    with socket.create_server(("127.0.0.1", 0)) as runtime_api, tempfile.NamedTemporaryFile(dir=work, suffix=name) as log:
        runtime_api.settimeout(0.05)
        lambdas = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime_api.getsockname()[1]}", "AWS_LAMBDA_FUNCTION_NAME": name}
        lambdas |= {"AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_REGION": REGION}
        keys = {"AWS_ACCESS_KEY_ID": "test1", "AWS_SECRET_ACCESS_KEY": "test1", "AWS_ENDPOINT_URL": stack.endpoint}
        with ministack.process(name, [BINARIES / name], log.name, **environment, **lambdas, **keys) as child:

            def asked_or_ended():
                with contextlib.suppress(TimeoutError):
                    runtime_api.accept()[0].close()
                    return "asked"
                return child.poll()

            if ministack.until(f"{name} asks for its first event", asked_or_ended) == "asked":
                STARTED.add(key)
                return None
        said = pathlib.Path(log.name).read_text().strip()
        return f"settings: {name} does not start with what it is given: {said}"


def compare_secrets(template, code):
    """What a function may not have in its settings: the text of a secret, which whoever may read them could read. A
    provider's URL may be told in clear by its parameter, whose pattern keeps secrets out."""
    findings = []
    for name in FUNCTIONS:
        environment = template["Resources"][f"{name.capitalize()}Function"]["Properties"]["Environment"]["Variables"]
        for variable, value in environment.items():
            channel = variable.removesuffix("_PROVIDER").capitalize()
            by_its_parameter = variable.endswith("_PROVIDER") and {"Ref": f"{channel}Provider"} in value.get("Fn::If", [])
            if "{{resolve:" in json.dumps(value) or (variable in code.kept_secret and not by_its_parameter):
                findings.append(f"secrets: {variable} of {name} holds one in clear")
    return findings


def compare_routes(stack, made, code, parameters):
    """The API's routes are OpenAPI's, and whoever emulates the API by Cargo.toml's router meets the same functions."""
    api = stack.client("apigatewayv2")
    owners = {one["IntegrationId"]: one["IntegrationUri"] for one in api.get_integrations(ApiId=made["Api"])["Items"]}
    functions = {made[f"{name.capitalize()}Function"]: name for name in FUNCTIONS}
    routes = {}
    for route in api.get_routes(ApiId=made["Api"])["Items"]:
        uri = owners[route["Target"].removeprefix("integrations/")]
        owner = next((name for physical, name in functions.items() if f":{physical}:live" in uri), uri)
        routes[route["RouteKey"]] = (owner, route.get("AuthorizationType", "NONE"))
    findings = []

    described = {f"{method.upper()} {path}" for path, item in code.openapi["paths"].items() for method in item if method.upper() in METHODS}
    routed = {key for key in routes if key not in ("$default", template_watching.PREFLIGHT) and not key.startswith("HEAD ")}
    findings += [f"routes: {key} is in OpenAPI and is no route" for key in sorted(described - routed)]
    findings += [f"routes: {key} is a route and is not in OpenAPI" for key in sorted(routed - described)]

    for path in [*code.openapi["paths"], "/", "/nowhere"]:
        for method in METHODS:
            ours = routes.get(f"{method} {path}", routes.get("$default", ("nobody", "")))[0]
            theirs = owner_in_router(code.router, method, path)
            if ours != theirs:
                findings.append(f"routes: {method} {path} is {ours}'s here and {theirs}'s in Cargo.toml")

    # A browser's preflight bears no credentials, and $default would ask for them.
    if (template_watching.PREFLIGHT in routes) != bool(parameters.get("CorsOrigins")):
        findings.append(f"routes: {template_watching.PREFLIGHT} belongs to CorsOrigins, which is {parameters.get('CorsOrigins')!r}")
    wanted = {"iam": "AWS_IAM", "jwt": "JWT", "none": "NONE"}[parameters.get("Authorizer", "iam")]
    for key, (_, authorization) in sorted(routes.items()):
        is_open = key == template_watching.PREFLIGHT or key.split(" ")[-1] in ("/health", "/health/ready", "/api/openapi.json")
        if authorization != ("NONE" if is_open else wanted):
            findings.append(f"routes: {key} asks for {authorization}")
    return findings


def owner_in_router(router, method, path):
    for route in router:
        if route["path"] == path and method in route.get("methods", METHODS):
            return route["function"]
    return router[-1]["function"]


def compare_logs(template, code):
    """Each line that is counted is one that the code writes, with the fields that the filter asks for."""
    findings = []
    for name, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Logs::MetricFilter":
            continue
        asked = json.dumps(resource["Properties"])
        for message in re.findall(r'\$\.message = \\+"(.+?)\\+"', asked):
            written = [call for call in re.findall(r"tracing::\w+!\((.*?)\);", code.sources, re.S) if f'"{message}"' in call]
            if not written:
                findings.append(f"logs: {name} counts a line that nobody writes: {message}")
            for field in set(re.findall(r"\$\.(\w+)", asked)) - {"message", "level"}:
                if not any(re.search(rf"\b{field}\b", call) for call in written):
                    findings.append(f"logs: {name} asks for {field}, which the line does not have")
    return findings


def compare_metrics(template, code):
    """What alarms and the dashboard show of our own metrics is what the functions write, or the filters make. AWS's own the linter can't know either."""
    resources = [one.get("Properties", {}) for one in template["Resources"].values()]
    made = {change["MetricName"]: None for one in resources for change in one.get("MetricTransformations", [])} | code.metrics
    shown = set()
    for one in resources:
        metrics = [entry["MetricStat"]["Metric"] for entry in one.get("Metrics", []) if "MetricStat" in entry]
        for metric in [one, *metrics]:
            if metric.get("Namespace") == {"Ref": "AWS::StackName"}:
                shown.add((metric["MetricName"], *(dimension["Name"] for dimension in metric.get("Dimensions", []))))
    try:
        widgets = json.loads(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]
    except ValueError as error:
        return [f"dashboard: it is no JSON: {error}"]
    lines = [[part for part in line if isinstance(part, str)] for widget in widgets for line in widget["properties"]["metrics"]]
    shown |= {(line[1], *line[2::2]) for line in lines if line[0] == "${AWS::StackName}"}
    findings = [f"metrics: {name} is shown, and nobody makes it" for name, *_ in sorted(shown) if name not in made]
    wrong = [(name, by) for name, *by in sorted(shown) if name in made and by != [made[name]] * bool(made[name])]
    findings += [f"metrics: {name} is shown by {by}, and is made by {made[name]}" for name, by in wrong]

    written = [one for one in resources if one.get("Environment", {}).get("Variables", {}).get("METRICS_NAMESPACE")]
    namespaces = [one["Environment"]["Variables"]["METRICS_NAMESPACE"] for one in written]
    if namespaces != [{"Ref": "AWS::StackName"}] * 3:
        findings.append(f"metrics: they are looked for in the stack's namespace, and written to {namespaces}")
    return findings


def of_gradual(template):
    """`template` was transformed with GradualDeployment=true."""
    return template_watching.gradual(template) + template_rights.assumed(template) + template_wiring.callers(template)


def of_the_text(text, parameters):
    """What is told by the text alone, deployed at once and gradually."""
    at_once, gradual = (sam_template.transformed(text, {**parameters, "GradualDeployment": so}) for so in ("false", "true"))
    findings = compare_keeping(at_once) + template_watching.kept(at_once) + template_watching.alarms(at_once) + of_gradual(gradual)
    return findings + template_wiring.findings_of(at_once, sam_template.with_defaults(at_once, parameters))


def findings_of(stack, code, text, parameters, where="everywhere"):
    """All of one template with one set of parameters, or only what the linter finds, or what is told by the text
    alone, or what it takes the code to find."""
    try:
        if where == "text":
            return of_the_text(text, parameters)
        template = sam_template.transformed(text, parameters)
        linted = lint(template, parameters) if where != "code" else []
        if where == "linter":
            return linted
        # MiniStack has no CodeDeploy, and gives its secrets ARNs of its own.
        at_once = {name: code.secrets.get(value, value) for name, value in parameters.items()}
        at_once["GradualDeployment"] = "false"
        template = sam_template.transformed(text, at_once)
        of_text = of_the_text(text, at_once) if where == "everywhere" else []
        made = stack.deploy("notifications", template, at_once)
    except Exception as error:  # whatever it is, the template was not taken
        return [f"deploy: {type(error).__name__}: {error}"]
    given, environments = sam_template.with_defaults(template, at_once), environments_of(stack, made)
    findings = linted + of_text + compare_secrets(template, code) + compare_logs(template, code)
    findings += compare_metrics(template, code) + template_watching.api(template, code.openapi)
    findings += template_rights.compare(stack, made, environments, given)
    findings += compare_table(stack, made, code, template) + compare_settings(environments, stack, code) + compare_routes(stack, made, code, parameters)
    stack.delete("notifications")
    return findings


# --- All of it ---


def sentences(template):
    """By which it refuses parameters."""
    of_one = [parameter["ConstraintDescription"] for parameter in template["Parameters"].values() if "ConstraintDescription" in parameter]
    return of_one + [a["AssertDescription"] for rule in template["Rules"].values() for a in rule["Assertions"]]


def main(stack, work, wanted):
    failed = 0

    def tell(name, findings):
        nonlocal failed
        failed += bool(findings)
        print(f"template: {name}: {'as it should be' if not findings else 'NOT as it should be'}", flush=True)
        for finding in findings:
            print(f"    {finding}", flush=True)

    def sow(faults, text, look):
        """Each alone into the text, which `look` then looks at."""
        for what, old, new, expected in faults:
            if not re.search(wanted, f"fault: {what}"):
                continue
            if old not in text:
                tell(f"fault: {what}", [f"there is no such text: {old}"])
                continue
            seen = look(text.replace(old, new, 1), expected)
            missed = [] if any(expected in finding for finding in seen) else [f"nobody says {expected!r}; said was {seen}"]
            tell(f"fault: {what}", missed)

    for name in FUNCTIONS:  # nobody calls them here
        stack.s3.put_object(Bucket=ministack.BUCKET, Key=f"{name}.zip", Body=EMPTY_ZIP)
    code, text = Code(stack, work), sam_template.source()
    if re.search(wanted, "set: samconfig.toml"):
        tell("set: samconfig.toml", sam_template.misplaced(sam_template.samconfig()))
    sow(OF_SAMCONFIG, (ROOT / "samconfig.toml").read_text(), lambda text, _: sam_template.misplaced(tomllib.loads(text)))
    for name, parameters in sam_template.sets():
        if re.search(wanted, f"set: {name}"):
            tell(f"set: {name}", findings_of(stack, code, text, parameters))
    _, parameters = sam_template.sets()[-2]

    def look(text, expected):
        by = expected.split(":")[0]
        return findings_of(stack, code, text, parameters, "linter" if by.startswith("cfn-lint") else "text" if by in OF_THE_TEXT else "code")

    sow(FAULTS, text, look)
    gradual = sam_template.transformed(text, {**parameters, "GradualDeployment": "true"})
    sow(OF_THE_TRANSFORM, json.dumps(gradual), lambda text, _: of_gradual(json.loads(text)))
    template = sam_template.transformed(text, {})
    said = []
    for given, sentence in REFUSALS:
        if not re.search(wanted, f"refusal: {given}"):
            continue
        try:
            stack.deploy("refused", template, {"EmailProvider": "dev:", **given})
            tell(f"refusal: {given}", ["it was taken"])
            stack.delete("refused")
        except ValueError as error:
            said.append(str(error))
            tell(f"refusal: {given}", [] if sentence in str(error) else [f"it was refused by another sentence: {error}"])
    if re.search(wanted, "refusals: every sentence"):
        unsaid = [sentence for sentence in sentences(template) if not any(sentence in one for one in said)]
        tell("refusals: every sentence of the template was said", [f"nothing was refused by: {sentence}" for sentence in unsaid])
    return failed


with tempfile.TemporaryDirectory() as folder:
    with ministack.running(pathlib.Path(folder)) as emulator:
        bad = main(emulator, pathlib.Path(folder), sys.argv[2] if len(sys.argv) > 2 else "")
sys.exit(f"template: {bad} of the checks failed" if bad else None)
