"""Controls bindings/examples/test_server.rs: the real server with an event, behind a network that can be interrupted."""

import os
import pathlib
import subprocess
import tempfile
import unittest
from datetime import timedelta

import fixture
import voelgoed_scan as scan


class TestServer:
    def __init__(self):
        programs = pathlib.Path(os.environ["VOELGOED_SCAN_PROGRAMS"])
        self.process = subprocess.Popen(
            [programs / "test_server", programs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.values = dict(line.rstrip("\n").split("\t") for line in iter(self.process.stdout.readline, "\n"))

    def __getitem__(self, name):
        return self.values[name]

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the test server has ended"
        return answer.rstrip("\n")

    def qr(self, name):
        return scan.TicketReading.QR(self.values[name])

    def close(self):
        self.process.communicate()


class ServerTestCase(unittest.IsolatedAsyncioTestCase):
    """Tests with a server of their own, and phones that have enrolled there."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.server = TestServer()
        self.addCleanup(self.server.close)
        self.secret_stores = {}

    def setup_of(self, name, **settings):
        (self.folder / name).mkdir(exist_ok=True)
        soon = timedelta(milliseconds=20)
        usual = {"allow_plain_http": True, "initial_backoff": soon, "max_backoff": soon}
        return scan.ClientSetup(
            directory=str(self.folder / name),
            app=scan.App(name="Gate", version="1.0", platform="python"),
            secrets=self.secret_stores.setdefault(name, fixture.MemorySecretStore()),
            settings=fixture.client_settings(**{**usual, **settings}),
        )

    async def phone(self, name, **settings):
        phone = await scan.ScannerClient.enroll(self.setup_of(name, **settings), self.server.ask(f"enroll {name}"))
        await self.start_session(phone)
        self.assertEqual((await phone.refresh_manifest()).tickets, 7)
        return phone

    async def start_session(self, phone, gate="gate_main"):
        session = await phone.start_session(self.server["event"], self.server[gate], replace=True)
        self.assertEqual(session.gate_id, self.server[gate])
