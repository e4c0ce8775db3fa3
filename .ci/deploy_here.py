"""Deploys template.yaml into MiniStack, with the functions' real binaries, and walks through it. .ci/deploy-here runs it,
beside Apache Kafka.

What MiniStack does not bring: Kafka, and its event source (`server stack`, which also calls redrive). Between the
functions and AWS stands a proxy that notes who asks for what: the roles have to allow that, and no more.
"""

import contextlib
import datetime
import hashlib
import hmac
import http.server
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
from base64 import b64decode, b64encode

import ministack
import sam_template
import template_rights
from confluent_kafka.admin import AdminClient, NewTopic
from sam_template import FUNCTIONS, REGION, ROOT

SERVER, BUILT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
STAY = sys.argv[3:] == ["--stay"]
BROKERS = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ANYBODY = {"Authorizer": "none", "AllowAnonymous": "true"}
# MiniStack's functions reach the brokers of .ci/real-parts, which ask nobody.
ASYNC = {"Kafka": "self-managed", "KafkaProtocol": "plaintext", "KafkaBootstrapServers": BROKERS, **sam_template.VPC}
CHANNELS = {f"{channel}Provider": "webhook+https://provider.example/" for channel in ("Sms", "Push")}
PAGE = "https://app.example"


def step(name):
    print(f"deploy-here: {name}", flush=True)


def check(so, otherwise):
    if not so:
        sys.exit(f"deploy-here: {otherwise}")


# --- Who stands between ---


class Server(http.server.ThreadingHTTPServer):
    """Answers each request by `answer(method, path, headers, body)`, which gives a status, headers and a body."""

    daemon_threads = True

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, content = answer(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """The connection breaks, and whoever asked sees it: nothing more has to be said when all of it ends."""


HOP = {"connection", "content-length", "date", "host", "server", "transfer-encoding"}


def passed_on(url, method, headers, body):
    kept = {name: value for name, value in headers.items() if name.lower() not in HOP}
    request = urllib.request.Request(url, data=body or None, method=method, headers=kept)
    try:
        answer = DIRECT.open(request, timeout=150)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        back = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
        return answer.status, back, answer.read()


class Noted:
    """Each function's calls of AWS: (action, the table, an index or a secret). A function is known by its path."""

    def __init__(self, aws):
        self.aws = aws
        self.calls = {name: set() for name in FUNCTIONS}

    def answer(self, method, path, headers, body):
        service, action = {name.lower(): value for name, value in headers.items()}["x-amz-target"].split(".")
        asked = json.loads(body)
        self.calls[path.split("/")[1]].add(
            (f"secretsmanager:{action}", asked["SecretId"])
            if service == "secretsmanager"
            else (f"dynamodb:{action}", asked.get("IndexName", "the table"))
        )
        return passed_on(f"{self.aws}/", method, headers, body)


class Receiver:
    """A provider's webhook. What comes for a template `unlucky` it takes the second time only."""

    def __init__(self):
        self.taken, self.turned_away = {}, set()

    def answer(self, method, path, headers, body):
        sent = {name.lower(): value for name, value in headers.items()}
        signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
        digest = hmac.new(b64decode(SIGNING.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        if sent["webhook-signature"] != f"v1,{b64encode(digest).decode()}":
            return 401, {}, b""
        id, data = sent["webhook-id"], json.loads(body)["data"]
        if data["template"] == "unlucky" and id not in self.turned_away:
            self.turned_away.add(id)
            return 503, {}, b""
        self.taken[id] = self.taken.get(id, 0) + 1
        return 200, {"Content-Type": "application/json"}, b"{}"


# --- What each role allows ---


def target(action, resource):
    return resource if not action.startswith("dynamodb:") else resource.partition("/index/")[2] or "the table"


def allowed(stack, made):
    """Each function's rights on the store and on secrets, as they were deployed: (action, the table, an index or a secret)."""
    rights = {}
    for name in FUNCTIONS:
        policy = stack.client("iam").get_role_policy(RoleName=made[f"{name.capitalize()}Role"], PolicyName=name)["PolicyDocument"]
        rights[name] = {
            (action, target(action, resource))
            for statement in policy["Statement"]
            for action in statement["Action"]
            for resource in template_rights.listed(statement["Resource"])
            if not action.startswith("logs:")
        }
    return rights


def compare_rights(rights, calls):
    findings = []
    for name in FUNCTIONS:
        findings += [f"{name} calls {action} on {what} and may not" for action, what in sorted(calls[name] - rights[name])]
        findings += [f"{name} may call {action} on {what} and was never seen to" for action, what in sorted(rights[name] - calls[name])]
    return findings


def faults_are_seen(rights):
    """Takes each right away, and gives each function one more: the comparison has to say so."""
    for name in FUNCTIONS:
        for right in rights[name]:
            check(compare_rights({**rights, name: rights[name] - {right}}, rights), f"nobody misses {right} of {name}")
        check(compare_rights({**rights, name: rights[name] | {("dynamodb:Scan", "the table")}}, rights), f"nobody sees a right too many of {name}")


# --- The deployment ---


def zipped(name):
    """One executable, `bootstrap`, as sam build left it."""
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        content = (BUILT / f"{name.capitalize()}Function/bootstrap").read_bytes()
        out.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=1)
    return archive.getvalue()


def deployed(stack, name, parameters, settings):
    """The stack's resources. `settings` is what stands in for AWS and the provider here: each function's own."""
    template = sam_template.transformed(sam_template.source(), parameters)
    for function in FUNCTIONS:
        template["Resources"][f"{function.capitalize()}Function"]["Properties"]["Environment"]["Variables"] |= settings(function)
    return stack.deploy(name, template, parameters)


def main(stack, work):
    step("the functions, as zips")
    for name in FUNCTIONS:
        stack.s3.put_object(Bucket=ministack.BUCKET, Key=f"{name}.zip", Body=zipped(name))
    secret = stack.client("secretsmanager").create_secret(Name="webhook", SecretString=SIGNING)["ARN"]
    admin = AdminClient({"bootstrap.servers": BROKERS})  # named: without it nobody would wait for the answer
    admin.create_topics([NewTopic("notification-events", 4, 1)])["notification-events"].result(60)

    noted, receiver = Noted(stack.endpoint), Receiver()
    aws, provider = Server(noted.answer), Server(receiver.answer)
    hook = provider.base.replace("http", "webhook+http")
    mail = stack.client("secretsmanager").create_secret(Name="mail", SecretString=f"{hook}/?key=1")["ARN"]

    def settings(function):
        local = {f"AWS_ENDPOINT_URL_{service}": f"{aws.base}/{function}" for service in ("DYNAMODB", "SECRETS_MANAGER")}
        if function != "get":
            # The template takes https only. What lies in a secret it can't see.
            local |= {"SMS_PROVIDER": hook, "PUSH_PROVIDER": hook}
        if function in ("create", "redrive"):
            local |= {"KAFKA_PRODUCE_TIMEOUT": "20s"}  # patient, for a machine that builds beside
        return local

    step("the stack")
    parameters = {"WebhookSecretArn": secret, "EmailProviderSecretArn": mail, "RetryBase": "1s", **CHANNELS}
    made = deployed(stack, "notifications", {**parameters, **ANYBODY, **ASYNC}, settings)
    api = Server(lambda method, path, *rest: passed_on(f"{stack.endpoint}/_aws/execute-api/{made['Api']}/$default{path}", method, *rest))

    def invoke(method, path, headers, body):
        name = path.split("/")[3]  # /2015-03-31/functions/<name>/invocations
        return passed_on(stack.endpoint + path.replace(f"/{name}/", f"/{made[name.capitalize() + 'Function']}:live/"), method, headers, body)

    step("its event source and its schedule")
    lambdas = Server(invoke)
    around = {"STORE": "dynamodb", "AWS_ENDPOINT_URL_DYNAMODB": stack.endpoint, "AWS_REGION": REGION, "TABLE_NAME": made["Table"]}
    around |= {"AWS_ACCESS_KEY_ID": "test1", "AWS_SECRET_ACCESS_KEY": "test1"}
    around |= {"KAFKA_BOOTSTRAP_SERVERS": BROKERS, "AWS_ENDPOINT_URL_LAMBDA": lambdas.base, "REDRIVE_INTERVAL": "2s"}
    log = work / "stack.log"
    with ministack.process("server stack", [SERVER, "stack"], log, **around) as child:
        ministack.until("server stack", lambda: child.poll() or ("stack ready" in log.read_text() or None))
        check(child.poll() is None, f"server stack ended: {log.read_text()}")
        walk(api.base, receiver)
        invitation = tried(api.base)
        if STAY:
            stay(api.base, stack.endpoint, invitation)
            return
    findings = compare_rights(allowed(stack, made), noted.calls)
    check(not findings, "\n    ".join(["the roles do not fit:", *findings]))
    faults_are_seen(allowed(stack, made))
    closed(stack, {**parameters, "CorsOrigins": PAGE}, settings)
    by_token(stack, parameters, settings)


def tried(api):
    """What somebody may do by hand while it stays, done once."""
    order = '{"userId": "eve", "channel": "sms", "template": "hello", "to": {"phone": "+436601234567"}}'
    create = f"curl -s {api}/api/notifications -H 'content-type: application/json' -d '{order}'"
    read = f"curl -s '{api}/api/notifications?userId=eve'"
    id = json.loads(subprocess.run(["bash", "-c", create], check=True, capture_output=True).stdout)["id"]
    listed = json.loads(subprocess.run(["bash", "-c", read], check=True, capture_output=True).stdout)["data"]
    check([one["id"] for one in listed] == [id], f"{id} was created, and listed are {listed}")
    return f"  {create}\n  {read}"


def stay(api, aws, invitation):
    step(f"""it stays until Ctrl-C

  the API             {api}
  AWS, as emulated    {aws}

{invitation}
""")
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


def walk(base, receiver):
    step("a client's walk")
    # MiniStack answers every OPTIONS by itself. AWS may do so for preflights, where CorsOrigins are given; whatever else
    # it passes on is answered by `get`, a preflight by 204 (a test of shared/src/http/gateway.rs), all others by 405.
    subprocess.run([sys.executable, ROOT / ".ci/walk-through", base, "OPTIONS"], check=True)
    step("what only redrive brings: a retry, and what is scheduled")
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    order = {"userId": "ada", "channel": "sms", "template": "unlucky", "to": {"phone": "+436601234567"}}
    ids = [created(base, order), created(base, {**order, "template": "late", "scheduledAt": soon.isoformat()})]
    for id in ids:
        final = ministack.until(f"{id} is final", lambda: ended(base, id), 120)
        check(final["status"] == "Sent", f"this one is not Sent: {final}")
        check(receiver.taken.get(id) == 1, f"the receiver took {id} {receiver.taken.get(id, 0)} times")
    check(ids[0] in receiver.turned_away, "nothing was retried")


def created(base, order):
    request = urllib.request.Request(f"{base}/api/notifications", json.dumps(order).encode(), {"Content-Type": "application/json"})
    with DIRECT.open(request, timeout=60) as answer:
        check(answer.status == 202, f"create answered {answer.status}")
        return json.load(answer)["id"]


def ended(base, id):
    with DIRECT.open(f"{base}/api/notifications/{id}", timeout=60) as answer:
        found = json.load(answer)
    return found if found["status"] in ("Sent", "Failed", "Cancelled", "Expired") else None


def closed(stack, parameters, settings):
    step("nobody is let in unasked")
    made = deployed(stack, "closed", parameters, settings)
    base = f"{stack.endpoint}/_aws/execute-api/{made['Api']}/$default"
    for path, wanted in [("/health", 200), ("/api/openapi.json", 200), ("/api/notifications?userId=ada", 403), ("/nowhere", 403)]:
        status, _, _ = passed_on(base + path, "GET", {}, b"")
        check(status == wanted, f"GET {path} without a signature was answered {status}, not {wanted}")
    step("somebody with credentials is, and everything works")
    keys = {name.upper(): value for name, value in ministack.KEYS.items() if name.startswith("aws_")}
    asked = ["--auth", "iam", "--region", REGION, "--cors-origin", PAGE]
    subprocess.run([sys.executable, ROOT / "tests/smoke", base, *asked], check=True, env=keys)
    step("nobody takes credentials elsewhere")
    led = []
    elsewhere = Server(lambda *request: led.append(request) or (200, {}, b"{}"))
    leading = Server(lambda method, path, *_: (307, {"Location": elsewhere.base + path}, b""))
    smoke = subprocess.run([sys.executable, ROOT / "tests/smoke", leading.base, *asked], env=keys, stdout=subprocess.DEVNULL)
    check(smoke.returncode == 1 and not led, f"the smoke test followed a redirect: {[one[:2] for one in led]}")


def by_token(stack, parameters, settings):
    step("by token: who has none, or one that is for others, is not let in")
    cognito = stack.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
    cognito.admin_create_user(UserPoolId=pool, Username="ada", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="ada", Password="Canary-1234", Permanent=True)

    def client(name):
        flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        return cognito.create_user_pool_client(UserPoolId=pool, ClientName=name, ExplicitAuthFlows=flows)["UserPoolClient"]["ClientId"]

    def token(audience):
        given = {"USERNAME": "ada", "PASSWORD": "Canary-1234"}
        return cognito.initiate_auth(ClientId=audience, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)["AuthenticationResult"]["IdToken"]

    ours, others = client("ours"), client("others")
    given = {"Authorizer": "jwt", "JwtIssuer": f"https://cognito-idp.{REGION}.amazonaws.com/{pool}", "JwtAudience": ours}
    made = deployed(stack, "by-token", {**parameters, **given, "JwtTenantClaim": "cognito:username"}, settings)
    base = f"{stack.endpoint}/_aws/execute-api/{made['Api']}/$default"
    good = token(ours)
    head, claims, _ = good.split(".")
    for what, headers in {
        "no token": {},
        "no token but a word": {"Authorization": "Bearer canary"},
        "a token for others": {"Authorization": f"Bearer {token(others)}"},
        "a token that nobody signed": {"Authorization": f"Bearer {head}.{claims}.{'A' * 342}"},
    }.items():
        status, _, _ = passed_on(f"{base}/api/notifications?userId=ada", "GET", headers, b"")
        check(status == 401, f"{what} was answered {status}, not 401")
    step("somebody with a token is, and what is created is of the token's tenant and subject")
    subprocess.run([sys.executable, ROOT / "tests/smoke", base, "--auth", "bearer", "--deliver"], check=True, env={"SMOKE_TOKEN": good})
    subject = json.loads(b64decode(claims + "=" * (-len(claims) % 4), "-_"))["sub"]
    items = stack.client("dynamodb").scan(TableName=made["Table"])["Items"]
    whose = {(item["userKey"]["S"].partition("#")[0], item["createdBy"]["S"]) for item in items}
    check(items and whose == {("ada", subject)}, f"it is of {whose}, and not of ada and {subject}")


def told_to_end(number, _):
    """Ends what runs on the way, and is not told to a second time in the middle of that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(143)


for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, told_to_end)
with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    try:
        with ministack.running(work) as emulator:
            main(emulator, work)
    except BaseException:
        for log in sorted(work.glob("*.log")):
            print(f"--- deploy-here: the end of {log.name} ---", *log.read_text().splitlines()[-60:], sep="\n", file=sys.stderr)
        raise
if not STAY:
    print("deploy-here: it is deployed, and does as it should")
