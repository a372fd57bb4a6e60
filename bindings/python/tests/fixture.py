"""The stage that `bindings/test` sets: one event, its payloads by name, its manifests."""

import os
import pathlib
from datetime import timedelta

import voelgoed_scan as scan

FOLDER = pathlib.Path(os.environ["VOELGOED_SCAN_STAGE"])
FACTS = dict(line.split("\t") for line in (FOLDER / "facts.tsv").read_text().splitlines())


def manifest(name):
    return (FOLDER / f"{name}.manifest").read_bytes()


def setup(file, device="device_a", can_override=False):
    return scan.OfflineGateSetup(
        file=str(file),
        organization_id=FACTS["organization"],
        device_id=FACTS[device],
        device_name=device,
        can_override=can_override,
        manifest_key=bytes.fromhex(FACTS["manifest_key"]),
    )


def camera(name):
    return scan.TicketReading.QR(FACTS[name])


def patient(**settings):
    """However slow the machine is: whether the phone decides is for the network to say, not for the clock."""
    patient = {"scan_deadline": timedelta(minutes=1)}
    return scan.ClientSettings(**{**vars(scan.default_client_settings()), **patient, **settings})


class Wire(scan.Transport):
    """A network of the test's own: it answers what a server would, or is cut."""

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

    def cut(self):
        self.fault = scan.TransportError.Unreachable("the cable is out")

    async def send(self, request):
        self.calls.append(request.url)
        if self.fault:
            raise self.fault
        last = request.url.split("?")[0].rsplit("/", 1)[1]
        if last not in self.ANSWERS:
            return scan.HttpResponse(status=503, headers=[scan.HttpHeader(name="Retry-After", value="1")], body=b"")
        status, file = self.ANSWERS[last]
        return scan.HttpResponse(status=status, headers=[], body=(FOLDER / file).read_bytes())


class Vault(scan.SecretStore):
    """What a keyring is on a kiosk."""

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
