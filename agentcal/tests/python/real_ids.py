"""A hook of schemathesis: whatever looks like an id becomes the id of something that is there.

An id that follows its pattern and names nothing gets no further than 404. Those that do not follow it are left alone, and
so is every seventh of the others. `real_ids.json` has lists of ids, by path parameter and by prefix.
"""

import json
import pathlib
import re

import schemathesis

REAL = json.loads(pathlib.Path("real_ids.json").read_text())
LOOKS_LIKE_AN_ID = re.compile(r"\A[a-z]+_[0-9A-Za-z_-]{20,40}\Z")
LEFT_ALONE = 7
# What names a time, and what says the same in other words.
WAYS = {
    "hold_id": {"slot_id", "start_time", "event_type_id", "user_id", "duration_minutes"},
    "slot_id": {"hold_id", "start_time", "event_type_id", "user_id", "duration_minutes"},
    "start_time": {"hold_id", "slot_id", "duration_minutes"},
}

turns = {}


def turn_of(name):
    turns[name] = turns.get(name, 0) + 1
    return turns[name]


def next_of(name, otherwise):
    """The ids of a list one after the other, so that those of an array differ."""
    ids = REAL.get(name)
    turn = turn_of(name)
    return otherwise if not ids or turn % LEFT_ALONE == 0 else ids[turn % len(ids)]


def real(value):
    if isinstance(value, dict):
        return {name: real(inner) for name, inner in value.items()}
    if isinstance(value, list):
        inner = [real(inner) for inner in value]
        return list(dict.fromkeys(inner)) if all(looks_like_an_id(item) for item in inner) else inner
    # For JSON Schema 60.0 is an integer; hardly anybody writes it.
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        return int(value)
    return next_of(value.partition("_")[0], value) if looks_like_an_id(value) else value


def looks_like_an_id(value):
    return isinstance(value, str) and LOOKS_LIKE_AN_ID.match(value) is not None


def agreeing(body):
    """A body that names a time in one way, where it does so in several: they would have to agree."""
    ways = [way for way in WAYS if body.get(way) is not None]
    if len(ways) == 0 or turn_of("agreeing") % LEFT_ALONE == 0:
        return body
    way = ways[turn_of("way") % len(ways)]
    dropped = WAYS[way]
    return {name: value for name, value in body.items() if name not in dropped}


def account_of(case):
    return REAL["account_to_go" if case.operation.label == "DELETE /v1/accounts/{account_id}" else "account"][0]


def is_about_headers(case):
    """Whether something is wrong with a header on purpose. Elsewhere a wrong one would hide what is."""
    location = getattr(case.meta.phase.data, "parameter_location", None) if case.meta else None
    return location is not None and location.value == "header"


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.path_parameters or {}
    for name, value in path.items():
        if looks_like_an_id(value):
            path[name] = account_of(case) if name == "account_id" else next_of(f"path.{name}", value)
    pair = [path.get("webhook_id"), path.get("delivery_id")]
    if all(looks_like_an_id(value) for value in pair) and turn_of("delivery") % LEFT_ALONE != 0:
        # A delivery is found with its own webhook only.
        path["webhook_id"], path["delivery_id"] = REAL["delivery"]
    headers = case.headers or {}
    if "X-Account-ID" in headers and (looks_like_an_id(headers["X-Account-ID"]) or not is_about_headers(case)):
        headers["X-Account-ID"] = account_of(case)
    if case.query:
        case.query = real(dict(case.query))
    if isinstance(case.body, (dict, list)):
        case.body = agreeing(real(case.body)) if isinstance(case.body, dict) else real(case.body)
