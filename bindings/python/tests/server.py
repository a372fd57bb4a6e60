"""The real server's door, which bindings/examples/door.rs keeps: an event, two devices, a network that can be cut."""

import os
import pathlib
import subprocess

import voelgoed_scan as scan


class Door:
    def __init__(self):
        programs = pathlib.Path(os.environ["VOELGOED_SCAN_PROGRAMS"])
        self.process = subprocess.Popen(
            [programs / "door", programs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.facts = dict(line.rstrip("\n").split("\t") for line in iter(self.process.stdout.readline, "\n"))

    def __getitem__(self, name):
        return self.facts[name]

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the door is gone"
        return answer.rstrip("\n")

    def camera(self, name):
        return scan.TicketReading.QR(self.facts[name])

    def close(self):
        self.process.communicate()
