"""What template.yaml has to say of who watches: alarms, gradual deployments, logs, throttling, and what browsers may
send and see. .ci/template holds each set of parameters against it; .ci/template_faults.py proves that it looks.
"""

# An alarm says what silence means. It is the fault where something has to happen every minute, else nothing happened.
SILENCE_IS_THE_FAULT = {"RedriveSilent", "DueIsOld"}
# Who brings the old version back: a function that answers 500 to everybody has not failed, as Lambda counts.
BROUGHT_BACK_BY = {
    "create": {"CreateFailing", "ApiFailing"},
    "get": {"GetFailing", "ApiFailing"},
    "process": {"ProcessFailing"},
    "redrive": {"RedriveFailing"},
}
# Beside what the OpenAPI document names: what a signature of AWS's, a token and a body bring along.
SENT_BESIDES = {"authorization", "content-type", "traceparent", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
PREFLIGHT = "OPTIONS /{proxy+}"


def of_type(template, kind):
    return {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == kind}


def alarms(template):
    findings = []
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
        if alarm.get("AlarmActions") != [{"Ref": "AlarmTopic"}]:
            findings.append(f"alarms: {name} wakes nobody")
        wanted = "breaching" if name in SILENCE_IS_THE_FAULT else "notBreaching"
        if alarm.get("TreatMissingData") != wanted:
            findings.append(f"alarms: silence is {alarm.get('TreatMissingData')} for {name}, not {wanted}")
    watched = of_type(template, "AWS::CloudWatch::Alarm").get("FunctionsThrottled", {}).get("Metrics", [])
    # What is refused of redrive is asked again within the minute; that nobody calls it is RedriveSilent's to say.
    if any(one["Id"] == "redrive" for one in watched):
        findings.append("alarms: FunctionsThrottled counts what is refused of redrive, which may overlap itself")
    return findings


def gradual(template):
    """`template` was transformed with GradualDeployment=true."""
    findings = []
    for function, wanted in BROUGHT_BACK_BY.items():
        group = of_type(template, "AWS::CodeDeploy::DeploymentGroup").get(f"{function.capitalize()}FunctionDeploymentGroup", {})
        watched = {alarm["Name"]["Ref"] for alarm in group.get("AlarmConfiguration", {}).get("Alarms", [])}
        if watched != wanted:
            findings.append(f"gradual: {function} is brought back by {sorted(watched)}, not by {sorted(wanted)}")
        way = str(group.get("DeploymentConfigName"))
        # One call a minute: of a tenth, for five minutes, mostly none.
        if "AllAtOnce" in way or (function == "redrive") != ("Linear10PercentEvery1Minute" in way):
            findings.append(f"gradual: {function} is moved by {way}")
        back = group.get("AutoRollbackConfiguration", {})
        if not back.get("Enabled") or "DEPLOYMENT_STOP_ON_ALARM" not in back.get("Events", []):
            findings.append(f"gradual: {function} is not brought back by an alarm")
    return findings


def kept(template):
    """Logs that end, of every function and of the API; a stream only where one is asked for."""
    findings = []
    logs = of_type(template, "AWS::Logs::LogGroup")
    findings += [f"logs: {name} is kept for ever" for name, log in logs.items() if log.get("RetentionInDays") != {"Ref": "LogRetentionDays"}]
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if function.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref") not in logs:
            findings.append(f"logs: {name} writes to a group of Lambda's own, which is kept for ever")
    stream = {"Fn::If": ["HasTableStream", {"StreamViewType": {"Ref": "TableStream"}}, {"Ref": "AWS::NoValue"}]}
    if template["Resources"]["Table"]["Properties"].get("StreamSpecification") != stream:
        findings.append("table: its stream is not by TableStream")
    return findings


def api(template, openapi):
    stage = template["Resources"]["ApiStage"]["Properties"]
    routes = stage.get("DefaultRouteSettings", {})
    findings = []
    for limit, parameter in {"ThrottlingRateLimit": "ThrottleRate", "ThrottlingBurstLimit": "ThrottleBurst"}.items():
        if routes.get(limit) != {"Ref": parameter}:
            findings.append(f"api: {limit} is not {parameter}")
    log = stage.get("AccessLogSettings", {})
    if log.get("DestinationArn") != {"Fn::GetAtt": ["ApiLog", "Arn"]} or "$context.status" not in log.get("Format", ""):
        findings.append("api: nobody logs who is answered what")
    return findings + browsers(template["Resources"]["Api"]["Properties"].get("CorsConfiguration"), openapi)


# What the Fetch standard lets every page see, and answers of ours have.
SEEN_BY_ALL = {"cache-control", "content-type"}


def browsers(cors, openapi):
    """A page sees no header that is not exposed, and sends none that is not allowed."""
    condition, given, _ = cors["Fn::If"]
    operations = [one for path in openapi["paths"].values() for method, one in path.items() if isinstance(one, dict) and "responses" in one]
    parts = openapi.get("components", {})

    def named(one, where):
        return parts[where][one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one

    sent = {one["name"].lower() for operation in operations for one in (named(p, "parameters") for p in operation.get("parameters", [])) if one["in"] == "header"}
    seen = {header.lower() for operation in operations for one in operation["responses"].values() for header in named(one, "responses").get("headers", {})}
    by_parameter = condition == "HasCors" and given["AllowOrigins"] == {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}
    findings = [] if by_parameter else ["browsers: what they may do is not by CorsOrigins"]
    findings += [f"browsers: a page may not send {name}" for name in sorted((sent | SENT_BESIDES) - set(given["AllowHeaders"]))]
    findings += [f"browsers: a page can't see {name}" for name in sorted(seen - SEEN_BY_ALL - set(given["ExposeHeaders"]))]
    return findings
