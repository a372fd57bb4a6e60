"""What schemathesis cannot know: which credential an operation takes, and NDJSON.

The credential and the resources of the run are protected: a call that would delete or revoke them goes to others.
"""

import json
import uuid

import schemathesis
from gate import OWNER_KEY, Gate, call
from schemathesis.transport.requests import REQUESTS_TRANSPORT


class Run:
    """The resources of the run."""

    def __init__(self):
        self.gate = Gate()
        self.gate.add_ticket("7s2KQR7F924M1XaB")
        settings = {"can_override": True, "can_search": True}
        body = {"device_id": "schemathesis", "name": "Schemathesis", "settings": settings}
        device = call("POST", "/api/v1/scanning/devices", body)
        self.token = device["token"]
        body = {"event_id": self.gate.event_id, "gate_id": self.gate.gate_id}
        session = call("POST", "/api/v1/scanning/sessions", body, token=self.token)
        keys = call("GET", "/api/v1/api-keys")["data"]
        self.protected = {device["id"], session["id"], *(key["id"] for key in keys)}


RUN = Run()


def takes_device_token(operation):
    """Whether the operation takes the token of a device and no API key."""
    schemes = [name for scheme in operation.definition.raw.get("security", []) for name in scheme]
    return "apiKey" not in schemes


@schemathesis.auth(cache_by_key=lambda case, context: case.operation.label)
class Credential:
    """The device's token where only a device may call, else the owner's API key."""

    def get(self, case, context):
        return RUN.token if takes_device_token(case.operation) else OWNER_KEY

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


# The pairs of times of which the second must not be before the first, a rule that JSON Schema cannot express.
PERIODS = [("starts_at", "ends_at"), ("doors_open_at", "doors_close_at"), ("valid_from", "valid_until"), ("from", "to")]


def remove_backward_periods(fields):
    """Takes the ends out of a generated object, so that no period runs backwards. The system tests check the rule."""
    if isinstance(fields, dict):
        for start, end in PERIODS:
            if isinstance(fields.get(start), str) and isinstance(fields.get(end), str):
                del fields[end]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces the id of a protected resource by an unknown one.

    A live stream of a known event never ends, so that schemathesis calls it for unknown events only."""
    for name, value in (case.path_parameters or {}).items():
        if value in RUN.protected and case.operation.method.upper() != "GET":
            case.path_parameters[name] = str(uuid.uuid4())
    remove_backward_periods(case.body)
    remove_backward_periods(case.query)
    if case.operation.path.endswith("/manifest"):
        # A range of a compressed body cannot be decompressed, and JSON Schema cannot tell which ranges exist. The system
        # tests check ranges.
        for name in ("Range", "If-Range"):
            (case.headers or {}).pop(name, None)
            (kwargs.get("headers") or {}).pop(name, None)
    if case.operation.path.endswith("/stream"):
        case.path_parameters["id"] = str(uuid.uuid4())


@REQUESTS_TRANSPORT.serializer("application/x-ndjson")
def serialize_line(context, value):
    """One generated line as a stream of lines."""
    if isinstance(value, (bytes, str)):
        return {"data": value}
    return {"data": json.dumps(value) + "\n"}


@schemathesis.deserializer("application/x-ndjson")
def deserialize_line(context, response):
    """The first line of a stream; the schema describes a line."""
    text = response.content.decode()
    return json.loads(text.splitlines()[0]) if text else None
