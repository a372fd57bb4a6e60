"""An organization on the server under test: an event with a gate and a ticket, and a device that scans there.

    VOELGOED_SCAN_URL         the server
    VOELGOED_SCAN_OWNER_KEY   an owner's API key of the organization
"""

import json
import os
import urllib.request
import uuid

URL = os.environ["VOELGOED_SCAN_URL"]
OWNER_KEY = os.environ["VOELGOED_SCAN_OWNER_KEY"]


def call(method, path, body=None, token=OWNER_KEY, media_type="application/json"):
    """Calls the server with the standard library and returns the parsed body; None without one."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    request = urllib.request.Request(URL + path, method=method, data=body)
    request.add_header("Authorization", f"Bearer {token}")
    if body is not None:
        request.add_header("Content-Type", media_type)
    with urllib.request.urlopen(request) as response:
        text = response.read()
    return json.loads(text) if text else None


class Gate:
    """A live event with one open gate."""

    def __init__(self):
        self.event_id = str(uuid.uuid4())
        self.gate_id = str(uuid.uuid4())
        self.event_path = f"/api/v1/events/{self.event_id}"
        call("PUT", self.event_path, {"name": "Show", "status": "live", "allow_unsigned": True})
        call("PUT", f"{self.event_path}/gates/{self.gate_id}", {"name": "Main", "status": "open"})

    def add_ticket(self, code):
        """Imports a ticket with this code."""
        line = json.dumps({"code": code}).encode() + b"\n"
        counts = call("POST", f"{self.event_path}/tickets", line, media_type="application/x-ndjson")
        assert counts["inserted"] == 1, counts
