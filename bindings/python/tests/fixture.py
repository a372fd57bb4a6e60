"""The fixture that bindings/examples/test_manifest.rs writes: an event, payloads by name, manifests."""

import asyncio
import json
import os
import pathlib
from datetime import timedelta

import voelgoed_scan as scan

FOLDER = pathlib.Path(os.environ["VOELGOED_SCAN_FIXTURE"])
VALUES = dict(line.split("\t") for line in (FOLDER / "values.tsv").read_text().splitlines())


def manifest(name):
    return (FOLDER / f"{name}.manifest").read_bytes()


def setup(file, device="device_a", can_override=False):
    return scan.OfflineScannerSetup(
        file=str(file),
        organization_id=VALUES["organization"],
        device_id=VALUES[device],
        device_name=device,
        can_override=can_override,
        manifest_key=bytes.fromhex(VALUES["manifest_key"]),
    )


def qr(name):
    return scan.TicketReading.QR(VALUES[name])


def client_settings(**settings):
    """A long scan timeout: only the state of the network decides who decides, not the speed of the machine."""
    settings_for_tests = {"scan_timeout": timedelta(minutes=1)}
    return scan.ClientSettings(**{**vars(scan.default_client_settings()), **settings_for_tests, **settings})


def problem(status, code, *headers):
    body = {"type": f"urn:voelgoed-scan:problem:{code}", "title": code, "status": status, "detail": "no", "code": code}
    return scan.HttpResponse(status=status, headers=[JSON_PROBLEM, *headers], body=json.dumps(body).encode())


JSON_PROBLEM = scan.HttpHeader(name="Content-Type", value="application/problem+json")
PORTAL = scan.HttpResponse(
    status=200, headers=[scan.HttpHeader(name="Content-Type", value="text/html")], body=b"<h1>Your room number?</h1>"
)


class FakeTransport(scan.Transport):
    """A transport without a network: it returns the responses of a server, or fails."""

    ANSWERS = {
        "enroll": (201, "enroll.json", "application/json"),
        "sessions": (201, "session.json", "application/json"),
        "device": (200, "device.json", "application/json"),
        "scan": (200, "scan.json", "application/json"),
        "manifest": (200, "good.manifest", "application/octet-stream"),
    }

    def __init__(self):
        self.fault = None
        self.calls = []
        self.scans = []
        #: Answers that replace those of the server, by the last part of the path.
        self.answers = {}
        #: How long the answer to each scan takes, in the order of the requests; after the last one, none.
        self.delays = []

    def disconnect(self):
        self.fault = scan.TransportError.Unreachable("no network")

    async def send(self, request):
        self.calls.append(request.url)
        if self.fault:
            raise self.fault
        last = request.url.split("?")[0].rsplit("/", 1)[1]
        if last in self.answers:
            return self.answers[last]
        if last not in self.ANSWERS:
            return problem(503, "overloaded", scan.HttpHeader(name="Retry-After", value="1"))
        status, file, content_type = self.ANSWERS[last]
        body = (FOLDER / file).read_bytes()
        if last == "scan":
            asked = json.loads(request.body)
            self.scans.append(asked)
            # The server answers the scan that it was asked for.
            body = json.dumps({**json.loads(body), "scan_id": asked["scan_id"]}).encode()
            if self.delays:
                await asyncio.sleep(self.delays.pop(0))
        return scan.HttpResponse(
            status=status, headers=[scan.HttpHeader(name="Content-Type", value=content_type)], body=body
        )


class MemorySecretStore(scan.SecretStore):
    """A secret store in memory."""

    def __init__(self):
        self.secrets = {}
        self.locked = False

    def check(self):
        if self.locked:
            raise scan.SecretStoreError.Failed("the kiosk is locked")

    def get(self, name):
        self.check()
        return self.secrets.get(name)

    def set(self, name, secret):
        self.check()
        self.secrets[name] = secret

    def delete(self, name):
        self.check()
        self.secrets.pop(name, None)
