"""What template.yaml has to say of who watches: alarms, gradual deployments, logs, throttling, and what browsers may
send and see. .ci/template holds each set of parameters against it; .ci/template_faults.py proves that it looks.
"""


def ref(name):
    return {"Ref": name}


def metric(namespace, name, dimensions):
    told = [{"Name": dimension, "Value": value} for dimension, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": name, **({"Dimensions": told} if told else {})}


def reads(namespace, name, statistic, period, **dimensions):
    """An alarm on one metric."""
    return {**metric(namespace, name, dimensions), "Statistic": statistic, "Period": period}


def summand(id, period, namespace, name, **dimensions):
    """A sum of which an alarm computes something."""
    return {"Id": id, "ReturnData": False, "MetricStat": {"Metric": metric(namespace, name, dimensions), "Stat": "Sum", "Period": period}}


def when(operator, threshold, periods, datapoints=None, silence="notBreaching"):
    """An alarm says what silence means. It is the fault where something has to happen every minute, else nothing happened."""
    told = {"ComparisonOperator": operator, "Threshold": threshold, "EvaluationPeriods": periods, "TreatMissingData": silence}
    wakes = {"AlarmActions": [ref("AlarmTopic")], "OKActions": [ref("AlarmTopic")]}
    return told | wakes | ({"DatapointsToAlarm": datapoints} if datapoints else {})


AT_LEAST, ABOVE, BELOW = "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold"
TWICE_IN_FIVE = when(AT_LEAST, 1, periods=5, datapoints=2)
OURS = ref("AWS::StackName")
# Each alarm, all of it but the text for whoever is woken. AWS's metrics by their names in its manuals, which nothing
# else here knows; ours are held against the code by .ci/template_checks.py:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
ALARMS = {
    "ApiFailing": reads("AWS/ApiGateway", "5xx", "Sum", 60, ApiId=ref("Api")) | TWICE_IN_FIVE,
    **{f"{name}Failing": reads("AWS/Lambda", "Errors", "Sum", 60, FunctionName=ref(f"{name}Function")) | TWICE_IN_FIVE for name in ("Create", "Get", "Process", "Redrive")},
    # Not redrive, which may overlap itself: what is refused of it is asked again within the minute; that nobody calls
    # it is RedriveSilent's to say.
    "FunctionsThrottled": TWICE_IN_FIVE
    | {
        "Metrics": [
            {"Id": "all", "Label": "throttled calls", "Expression": "SUM(METRICS())"},
            *(summand(name.lower(), 60, "AWS/Lambda", "Throttles", FunctionName=ref(f"{name}Function")) for name in ("Create", "Get", "Process")),
        ]
    },
    "TableThrottled": TWICE_IN_FIVE
    | {
        "Metrics": [
            {"Id": "all", "Label": "throttled reads and writes", "Expression": "SUM(METRICS())"},
            *(
                summand(f"{id}{way}", 60, "AWS/DynamoDB", f"{way}ThrottleEvents", TableName=ref("Table"), **index)
                for id, index in {"table": {}, "user": {"GlobalSecondaryIndexName": "user-created"}, "due": {"GlobalSecondaryIndexName": "due"}}.items()
                for way in ("Read", "Write")
            ),
        ]
    },
    "RedriveSilent": reads("AWS/Lambda", "Invocations", "Sum", 60, FunctionName=ref("RedriveFunction")) | when(BELOW, 1, periods=5, silence="breaching"),
    "RedriveIsBehind": reads(OURS, "redrive_left", "Maximum", 300) | when(AT_LEAST, 1, periods=3),
    "DueIsOld": reads(OURS, "oldest_due_seconds", "Maximum", 60) | when(ABOVE, ref("DueAgeAlarm"), periods=10, datapoints=5, silence="breaching"),
    "ErrorsLogged": reads(OURS, "LoggedErrors", "Sum", 300) | when(AT_LEAST, 1, periods=1),
    "KafkaIsAway": {"Condition": "HasKafka"} | reads(OURS, "WithoutKafka", "Sum", 300) | when(AT_LEAST, 1, periods=1),
    "KafkaLagging": {"Condition": "HasKafka"} | reads("AWS/Lambda", "OffsetLag", "Maximum", 60, FunctionName=ref("ProcessFunction")) | when(ABOVE, ref("KafkaLagAlarm"), periods=10),
    "KafkaIsBypassed": {"Condition": "HasKafka"} | reads(OURS, "redriven", "Sum", 900, outcome="processed") | when(ABOVE, ref("KafkaBypassAlarm"), periods=1),
    **{
        f"{channel}Failing": {"Condition": f"Has{channel}"}
        | when(ABOVE, ref("FailedShareAlarm"), periods=2)
        | {
            "Metrics": [
                {"Id": "share", "Label": "% failed", "Expression": "IF(ended >= 10, 100 * FILL(failed, 0) / ended, 0)"},
                {"Id": "ended", "ReturnData": False, "Expression": "FILL(sent, 0) + FILL(failed, 0)"},
                summand("sent", 300, OURS, "sent", channel=channel.lower()),
                summand("failed", 300, OURS, "failed", channel=channel.lower()),
            ]
        }
        for channel in ("Email", "Sms", "Push")
    },
    **{
        f"{channel}LeftAlone": {"Condition": f"Has{channel}"} | reads(OURS, "left_alone", "Maximum", 300, channel=channel.lower()) | when(AT_LEAST, 1, periods=3)
        for channel in ("Email", "Sms", "Push")
    },
}
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
    """Each is as ALARMS has it, to the last property, and there is no other one."""
    has = {name: {"Condition": one.get("Condition"), **one["Properties"]} for name, one in template["Resources"].items() if one["Type"].endswith("Alarm")}
    findings = [f"alarms: there is no {name}" for name in ALARMS if name not in has]
    findings += [f"alarms: nobody asked for {name}" for name in has if name not in ALARMS]
    for name, wanted in ALARMS.items():
        alarm = has.get(name, wanted)
        odd = sorted(part for part in {*alarm, *wanted} - {"AlarmDescription"} if alarm.get(part) != wanted.get(part))
        findings += [f"alarms: {part} of {name} is {alarm.get(part)}, not {wanted.get(part)}" for part in odd]
    return findings


def gradual(template):
    """`template` was transformed with GradualDeployment=true."""
    findings = []
    for function, wanted in BROUGHT_BACK_BY.items():
        group = of_type(template, "AWS::CodeDeploy::DeploymentGroup").get(f"{function.capitalize()}FunctionDeploymentGroup", {})
        watch = group.get("AlarmConfiguration", {})
        watched = {alarm["Name"]["Ref"] for alarm in watch.get("Alarms", []) if watch.get("Enabled")}
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
    logs = of_type(template, "AWS::Logs::LogGroup")
    findings = [f"kept: {name} is kept for ever" for name, log in logs.items() if log.get("RetentionInDays") != {"Ref": "LogRetentionDays"}]
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        if function.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref") not in logs:
            findings.append(f"kept: {name} writes to a group of Lambda's own, which is kept for ever")
    stream = {"Fn::If": ["HasTableStream", {"StreamViewType": {"Ref": "TableStream"}}, {"Ref": "AWS::NoValue"}]}
    if template["Resources"]["Table"]["Properties"].get("StreamSpecification") != stream:
        findings.append("kept: the table's stream is not by TableStream")
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
