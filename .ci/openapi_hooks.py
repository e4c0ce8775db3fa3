"""Rules of a request that concern two of its values at once, or the present time: OpenAPI has no words for them.

Where the fuzzer means to send a valid request, they are put right here, so that what it calls valid is valid,
and a refusal is a fault of ours. What it means to be invalid stays as it is.

Used by .ci/openapi-fuzz, as SCHEMATHESIS_HOOKS.
"""

from datetime import datetime, timezone

import schemathesis

PAST, LATER = "2020-01-31T08:00:00Z", "2020-02-29T08:00:00Z"


def is_meant_valid(case):
    return case.meta is None or not case.meta.generation.mode.is_negative


def is_ahead(instant):
    try:
        return datetime.fromisoformat(instant.upper().replace("Z", "+00:00")) > datetime.now(timezone.utc)
    except ValueError:
        return True  # Python knows fewer instants than RFC 3339, a leap second for one


@schemathesis.hook
def map_case(context, case):
    if is_meant_valid(case) and case.operation.path == "/api/notifications":
        if case.method.upper() == "GET" and isinstance(case.query, dict):
            one_way_to_ask(case.query)
        if case.method.upper() == "POST" and isinstance(case.body, dict):
            one_key(case)
            instants_in_order(case.body)
    return case


def one_way_to_ask(query):
    """A user's list, or the one of a key, which has no pages; not both, and not neither."""
    if "userId" in query:
        query.pop("idempotencyKey", None)
    elif "idempotencyKey" in query:
        query.pop("limit", None)
        query.pop("cursor", None)
    else:
        query["userId"] = "user-17"


def one_key(case):
    """A key in the header and another in the body contradict each other."""
    if case.body.get("idempotencyKey") is not None:
        for name in [name for name in case.headers or {} if name.lower() == "idempotency-key"]:
            del case.headers[name]


def instants_in_order(body):
    """`scheduledAt` at most a year ahead, `expiresAt` after it."""
    scheduled, expires = body.get("scheduledAt"), body.get("expiresAt")
    if scheduled is not None and (expires is not None or is_ahead(scheduled)):
        body["scheduledAt"] = PAST
        if expires is not None:
            body["expiresAt"] = LATER
