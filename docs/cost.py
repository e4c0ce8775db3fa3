#!/usr/bin/env python3
"""What a month costs on AWS, for docs/operations.md: prices, what is used of each, and the product.

  docs/cost.py                                     # the table of the manual
  docs/cost.py --notifications 5000000 --kb 4 --kafka --kafka-hour 0.5 --vpc
  docs/cost.py --write                             # writes the manual's table anew

What is measured, what is a rule of AWS's, and what is assumed is said beside each figure. Change what does not fit.
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MANUAL = ROOT / "docs/operations.md"
HOURS = 730  # of a month
MINUTES = HOURS * 60

# Dollars, us-east-1, without the free tier. Who says so, and when, is in docs/operations.md.
WRITE_UNITS = 0.625e-6
READ_UNITS = 0.125e-6
REQUESTS = 0.20e-6  # Lambda
GB_SECONDS = 0.0000133334  # Lambda on arm64
API_CALLS = 1.00e-6  # HTTP API
LOG_GB = 0.50  # CloudWatch, taken in
ALARM_METRIC = 0.10
OWN_METRIC = 0.30
DASHBOARD = 3.00
NAT_HOUR, NAT_GB = 0.045, 0.045
TABLE_GB, RECOVERY_GB = 0.25, 0.20  # a month
BROKER_HOUR, BROKER_GB = 0.0456, 0.10  # MSK, kafka.t3.small; its disk for a month

# Measured: docs/operations.md says how.
LOG_BYTES = 540  # of the functions, for each notification that is delivered at the first attempt
METRIC_BYTES = 314 + 529  # and the lines of metrics: a create's, and a batch's that had a poisoned record too

# Assumed: nobody has measured them on AWS.
MEMORY = 0.5  # GB: the template's default
CREATE = 0.030  # s, with Kafka or not, without the provider
PROVIDER = 0.200  # s: how long a provider takes
PROCESS = 0.050  # s, for a batch, without the provider
BATCH = 1  # records: at a million a month one seldom meets another
REDRIVE = 0.200  # s, where nothing is due
PLATFORM_LOG_BYTES = 325  # the API's line of a call, and Lambda's own lines of one

# The template's default, and the smallest cluster that keeps every event three times: a million are half a GB.
RETENTION = 3  # months
BROKERS, DISK = 3, 10  # GB each


def watched():
    """How many metrics the template's alarms look at, and how many its log filters make, with and without Kafka."""
    parts = re.split(r"^  (?=\w+:\n)", (ROOT / "template.yaml").read_text(), flags=re.MULTILINE)
    alarms = {True: 0, False: 0}
    filtered = {True: set(), False: set()}
    for part in parts:
        for kafka in (True, False):
            if "Condition: HasKafka" in part and not kafka:
                continue
            if "Type: AWS::CloudWatch::Alarm" in part:
                alarms[kafka] += part.count("MetricStat:") or 1
            if "Type: AWS::Logs::MetricFilter" in part:
                filtered[kafka] |= set(re.findall(r"MetricName: (\w+)", part))
    return alarms, {kafka: len(names) for kafka, names in filtered.items()}


def written():
    """How many metrics the functions write, at most: what never occurs has no price. First those of redrive, which runs always."""
    rows = re.findall(r"^\| `notifications_\w+` \| (\w+) \|.*?\| `\w+` \| \w+ \| (\w*) ?\|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    times = {"channel": 3, "outcome": 5, "": 1}
    always = sum(times[dimension] for kind, dimension in rows if kind == "gauge")
    return always, sum(times[dimension] for _, dimension in rows) - always


def bill(options):
    """(what, how much, dollars), first what grows with the notifications, then what a month costs without any."""
    n, kb, kafka = options.notifications, options.kb, options.kafka
    calls = n * (1 + 1 / BATCH) if kafka else n
    seconds = n * CREATE + n / BATCH * (PROCESS + PROVIDER) if kafka else n * (CREATE + PROCESS + PROVIDER)
    log = (n * (LOG_BYTES + METRIC_BYTES) + (n + calls) * PLATFORM_LOG_BYTES) / 1e9
    alarms, filtered = (of[kafka] for of in watched())
    always, occurring = written()
    units = 3 * kb + 3
    kept = n * RETENTION * kb * 1024 / 1e9
    growing = [
        ("DynamoDB, writes", f"{n:,} × {units} units", n * units * WRITE_UNITS),
        ("API", f"{n:,} calls", n * API_CALLS),
        ("Lambda, calls", f"{calls:,.0f}", calls * REQUESTS),
        ("Lambda, time", f"{seconds * MEMORY:,.0f} GB-s", seconds * MEMORY * GB_SECONDS),
        ("table, kept for three months", f"{kept:.1f} GB", kept * TABLE_GB),
        ("its point-in-time recovery", f"{kept:.1f} GB", kept * RECOVERY_GB),
        ("logs", f"{log:.1f} GB", log * LOG_GB),
        ("metrics of its own, at most", str(occurring), occurring * OWN_METRIC),
    ]
    idle = [
        ("redrive, calls and time", f"{MINUTES:,} × {REDRIVE:g} s", MINUTES * (REQUESTS + REDRIVE * MEMORY * GB_SECONDS)),
        ("redrive, reads", f"{MINUTES:,} × 8 units", MINUTES * 8 * READ_UNITS),
        ("alarms", f"{alarms} metrics", alarms * ALARM_METRIC),
        ("metrics of redrive and of the log", str(always + filtered), (always + filtered) * OWN_METRIC),
        ("dashboard", "1", DASHBOARD),
    ]
    if options.vpc or kafka:
        growing.append(("NAT, data", f"{n * (kb + 2) * 1024 / 1e9:.1f} GB", n * (kb + 2) * 1024 / 1e9 * NAT_GB))
        idle.append(("NAT gateways", f"2 × {HOURS} h", 2 * HOURS * NAT_HOUR))
    if kafka:
        msk = HOURS * BROKERS * BROKER_HOUR + BROKERS * DISK * BROKER_GB
        own = options.kafka_hour is not None
        idle.append(("Kafka", f"{HOURS} h" if own else f"MSK, {BROKERS} × t3.small", HOURS * options.kafka_hour if own else msk))
    return growing, idle


def table(cases):
    bills = [bill(options) for options in cases.values()]
    lines = ["| a month, in dollars | " + " | ".join(cases) + " |", "| --- |" + " ---: |" * len(cases)]
    for part, sum_ in ((0, "for the notifications"), (1, "without any")):
        names = list(dict.fromkeys(name for one in bills for name, _, _ in one[part]))
        for name in names:
            cells = [next((f"{cost:.2f} ({used})" for known, used, cost in one[part] if known == name), "") for one in bills]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        sums = [f"**{sum(cost for _, _, cost in one[part]):.2f}**" for one in bills]
        lines.append(f"| **{sum_}** | " + " | ".join(sums) + " |")
    return "\n".join(lines)


def of_the_manual():
    def case(**over):
        return argparse.Namespace(**{"notifications": 1_000_000, "kb": 1, "kafka": False, "vpc": False, "kafka_hour": None, **over})

    return table({
        "1 KB, no Kafka": case(), "4 KB, no Kafka": case(kb=4),
        "1 KB, Kafka": case(kafka=True), "4 KB, Kafka": case(kb=4, kafka=True),
    })


def in_the_manual():
    return re.search(r"(?<=<!-- docs/cost.py: begin -->\n).*?(?=\n<!-- docs/cost.py: end -->)", MANUAL.read_text(), re.DOTALL)


def main():
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--notifications", type=int, help="a month")
    known.add_argument("--kb", type=int, default=1, help="started kilobytes of a record at its largest")
    known.add_argument("--kafka", action="store_true", help="by way of Kafka; else `create` sends")
    known.add_argument("--kafka-hour", type=float, help="what your Kafka costs an hour, in dollars; else the smallest MSK")
    known.add_argument("--vpc", action="store_true", help="in a VPC, with two NAT gateways; with Kafka it always is")
    known.add_argument("--write", action="store_true", help="write the table of docs/operations.md anew")
    known.add_argument("--check", action="store_true", help="fail if that table is another one")
    options = known.parse_args()
    if options.notifications:
        print(table({"yours": options}))
    elif options.write:
        found, text = in_the_manual(), MANUAL.read_text()
        MANUAL.write_text(text[: found.start()] + of_the_manual() + text[found.end() :])
    elif options.check:
        if in_the_manual()[0] != of_the_manual():
            sys.exit("cost.py: the table of docs/operations.md is out of date: docs/cost.py --write")
    else:
        print(of_the_manual())


if __name__ == "__main__":
    main()
