"""The fixture that bindings/examples/test_manifest.rs writes: an event, payloads by name, manifests."""

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


class FakeTransport(scan.Transport):
    """A transport without a network: it returns the responses of a server, or fails."""

    ANSWERS = {
        "enroll": (201, "enroll.json"),
        "sessions": (201, "session.json"),
        "device": (200, "device.json"),
        "scan": (200, "scan.json"),
        "manifest": (200, "good.manifest"),
    }

    def __init__(self):
        self.fault = None
        self.calls = []

    def disconnect(self):
        self.fault = scan.TransportError.Unreachable("no network")

    async def send(self, request):
        self.calls.append(request.url)
        if self.fault:
            raise self.fault
        last = request.url.split("?")[0].rsplit("/", 1)[1]
        if last not in self.ANSWERS:
            return scan.HttpResponse(status=503, headers=[scan.HttpHeader(name="Retry-After", value="1")], body=b"")
        status, file = self.ANSWERS[last]
        return scan.HttpResponse(status=status, headers=[], body=(FOLDER / file).read_bytes())


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
