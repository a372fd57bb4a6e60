"""Controls bindings/examples/test_server.rs: the real server with an event, behind a network that can be interrupted."""

import os
import pathlib
import subprocess

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
