"""What schemathesis cannot know: which credential an operation takes, and NDJSON.

The credential and the resources of the run are protected: a call that would change, delete or revoke them goes to others.
"""

import json
import re
import uuid

import schemathesis
from gate import OWNER_KEY, Gate, call
from schemathesis.transport.requests import REQUESTS_TRANSPORT


class Run:
    """The resources of the run. Those that its calls need are protected."""

    def __init__(self):
        self.gate = Gate()
        self.gate.add_ticket("7s2KQR7F924M1XaB")
        settings = {"can_override": True, "can_search": True}
        device = self.new_device("schemathesis", settings)
        self.token = device["token"]
        session = self.new_session(self.token)
        # A function that creates a resource of the same kind, for each protected one.
        self.protected = {
            device["id"]: lambda: self.new_device(str(uuid.uuid4())),
            session["id"]: lambda: self.new_session(self.new_device(str(uuid.uuid4()))["token"]),
        }
        for key in call("GET", "/api/v1/api-keys")["data"]:
            self.protected[key["id"]] = lambda: call("POST", "/api/v1/api-keys", {"name": "Stand-in", "role": "viewer"})

    def new_device(self, label, settings=None):
        body = {"device_id": label, "name": "Schemathesis", "settings": settings or {}}
        return call("POST", "/api/v1/scanning/devices", body)

    def new_archived_event(self):
        event_id = str(uuid.uuid4())
        call("PUT", f"/api/v1/events/{event_id}", {"name": "Last year", "status": "archived"})
        return event_id

    def new_session(self, token):
        body = {"event_id": self.gate.event_id, "gate_id": self.gate.gate_id}
        return call("POST", "/api/v1/scanning/sessions", body, token=token)


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
    """Replaces the id of a protected resource by that of a new one, which the call may change, revoke or delete.

    A live stream of a known event never ends, so that schemathesis calls it for unknown events only."""
    for name, value in (case.path_parameters or {}).items():
        if value in RUN.protected and case.operation.method.upper() != "GET":
            case.path_parameters[name] = RUN.protected[value]()["id"]
    deletes_event = (case.operation.method.upper(), case.operation.path) == ("DELETE", "/api/v1/events/{id}")
    if deletes_event and (case.path_parameters or {}).get("id") == RUN.gate.event_id:
        case.path_parameters["id"] = RUN.new_archived_event()
    remove_backward_periods(case.body)
    remove_backward_periods(case.query)
    is_positive = case.meta is None or case.meta.generation.mode.is_positive
    if case.operation.path.startswith("/api/v1/webhooks") and isinstance(case.body, dict) and is_positive:
        # A host that is no address cannot be told from one that is, and nobody is to be called.
        url = case.body.get("url")
        if isinstance(url, str):
            case.body["url"] = re.sub(r"^(https?://)[^/?]+", r"\g<1>127.0.0.1:9", url)
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
