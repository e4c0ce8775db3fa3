"""MiniStack, an emulator of AWS: started, spoken to, stopped.

Used by .ci/template and .ci/deploy-here, out of the virtual environment of .ci/emulator.txt.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from sam_template import REGION, ROOT, resolved, with_defaults

BUCKET = "code"
KEYS = {"aws_access_key_id": "test1", "aws_secret_access_key": "test1", "region_name": REGION}
# All that a child of ours gets of our environment: no proxy, no credentials, no profile of anybody's.
PLAIN = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}


def free_ports(count):
    return subprocess.run([ROOT / ".ci/free-ports", str(count)], capture_output=True, text=True, check=True).stdout.split()


@contextlib.contextmanager
def process(name, command, log, patience=10, **environment):
    """A process of ours, asked to end at the end, and made to when patience is over."""
    with open(log, "w") as out:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**PLAIN, **environment}, start_new_session=True)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            if patience:
                print(f"{name} did not end by itself", file=sys.stderr)
        # MiniStack's functions are processes of its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def until(what, ask, within=300.0):
    """Asks again until the answer is not None."""
    end = time.monotonic() + within
    while True:
        answer = ask()
        if answer is not None:
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {within:.0f} s")
        time.sleep(0.05)


class MiniStack:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.session = boto3.Session(**KEYS)
        self.cloudformation = self.client("cloudformation")
        self.s3 = self.client("s3")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def client(self, service):
        return self.session.client(service, endpoint_url=self.endpoint, config=Config(read_timeout=120, retries={"total_max_attempts": 1}))

    def deploy(self, stack, template, parameters):
        """The resources of the new stack, by their logical ids; ValueError where the template is refused or fails."""
        template = with_plain_conditions(without_metric_math(template), parameters)
        # As `sam deploy` does it: a template of this size has to lie in S3.
        self.s3.put_object(Bucket=BUCKET, Key=f"{stack}.json", Body=json.dumps(template).encode())
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items() if name in template["Parameters"]]
        url = f"{self.endpoint}/{BUCKET}/{stack}.json"
        try:
            self.cloudformation.create_stack(StackName=stack, TemplateURL=url, Parameters=given, Capabilities=["CAPABILITY_IAM"])
        except ClientError as error:
            raise ValueError(error.response["Error"]["Message"]) from None
        status = until(f"stack {stack}", lambda: self.settled(stack))
        if status != "CREATE_COMPLETE":
            events = self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
            failed = [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}" for e in events if "FAILED" in e["ResourceStatus"]]
            raise ValueError("; ".join(failed) or status)
        resources = self.cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        made = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}
        # By CloudFormation it keeps this under names that it does not look for when a browser asks.
        cors = resolved(template["Resources"]["Api"]["Properties"], template, with_defaults(template, parameters)).get("CorsConfiguration")
        if cors:
            self.client("apigatewayv2").update_api(ApiId=made["Api"], CorsConfiguration=cors)
        return made

    def settled(self, stack):
        status = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        return None if status.endswith("IN_PROGRESS") else status

    def delete(self, stack):
        self.cloudformation.delete_stack(StackName=stack)


def without_metric_math(template):
    """MiniStack has no alarms on metric math. They are only linted."""
    kept = {
        name: one
        for name, one in template["Resources"].items()
        if not (one["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in one["Properties"])
    }
    return {**template, "Resources": kept}


def with_plain_conditions(template, parameters):
    """MiniStack takes no list apart in a condition: what such a one comes to is told instead."""
    given = with_defaults(template, parameters)
    plain = {
        name: {"Fn::Equals": [str(resolved(one, template, given)), "True"]}
        for name, one in template["Conditions"].items()
        if "Fn::Split" in json.dumps(one)
    }
    return {**template, "Conditions": {**template["Conditions"], **plain}}


@contextlib.contextmanager
def running(work):
    (port,) = free_ports(1)
    command = [pathlib.Path(sys.prefix) / "bin/ministack"]
    settings = {"GATEWAY_PORT": port, "BIND_HOST": "127.0.0.1", "MINISTACK_REGION": REGION, "LOG_LEVEL": "WARNING", "TMPDIR": str(work)}
    with process("MiniStack", command, work / "ministack.log", patience=0, **settings) as child:
        endpoint = f"http://127.0.0.1:{port}"
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def ready():
            if child.poll() is not None:
                raise RuntimeError("MiniStack ended while starting")
            with contextlib.suppress(OSError):
                return direct.open(f"{endpoint}/_ministack/health", timeout=2).status
            return None

        until("MiniStack", ready)
        yield MiniStack(endpoint)
