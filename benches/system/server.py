"""The server as a process, and the command line."""

import json
import os
import re
import secrets
import socket
import subprocess
import time
from pathlib import Path

TARGET = Path(os.environ.get("VOELGOED_SCAN_BENCH_TARGET", "target")) / "dist"
SECRET = secrets.token_hex(32)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cli(*arguments, server=None, token=None):
    """Runs `voelgoed-scan` and reads its JSON."""
    environment = {**os.environ, "VOELGOED_SCAN_SECRET_KEY": SECRET}
    if token:
        environment["VOELGOED_SCAN_TOKEN"] = token
    command = [str(TARGET / "voelgoed-scan"), "--output", "json", "--quiet", *map(str, arguments)]
    if server:
        command += ["--server", server]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(command[3:])}: {done.stderr or done.stdout}")
    return json.loads(done.stdout.strip().splitlines()[-1]) if done.stdout.strip() else None


class Organization:
    """An organization on a server. A subclass has the server's `url` and `database_url`."""

    def create_organization(self, name="Bench"):
        """Creates the organization with a live event and a gate."""
        made = cli("init", "--database-url", self.database_url, "--organization", name)
        self.organization, self.key = made["organization_id"], made["api_key"]
        self.event = self.cli("event", "put", "new", "--name", "Bench", "--status", "live")["id"]
        self.gate = self.cli("gate", "put", "new", "--event", self.event, "--name", "Main", "--status", "open")["id"]
        return self

    def set_capacity(self, capacity):
        """Sets the event's capacity, or `none`. A rehearsal copies it, raised to admit all of its tickets."""
        self.cli("event", "put", self.event, "--name", "Bench", "--status", "live", "--capacity", capacity)

    def start_session(self):
        """A device with a session, for the SQL side. Returns the ids of both."""
        device = self.cli("device", "register", "sql", "--name", "SQL")
        session = cli("session", "start", "--event", self.event, "--gate", self.gate,
                      server=self.url, token=device["token"])
        return device["id"], session["id"]

    def cli(self, *arguments):
        return cli(*arguments, server=self.url, token=self.key)

    def rehearse(self, seconds, *arguments, closed=None, warm_up="1s"):
        # A copy that is deleted would be purged in the background during the next turn.
        arguments = [*arguments, "--event", self.event, "--duration", f"{seconds}s", "--warm-up", warm_up, "--keep"]
        if closed:
            arguments += ["--closed", "--concurrency", closed]
        report = self.cli("rehearse", *arguments)
        if report["errors"]:
            raise RuntimeError(f"rehearse: {report['errors']}")
        latency = report["latency_ms"]
        return {"rate": report["scans_per_second"], "p50": latency["p50"], "p99": latency["p99"],
                "count": latency["count"], "report": report}


class Server(Organization):
    """A server on a database, and an organization on it."""

    def __init__(self, database_url, redis_url=None, log=None):
        self.database_url, self.redis_url = database_url, redis_url
        self.process = None
        self.log = open(log or os.devnull, "ab")
        self.start()

    def start(self):
        """Starts the server. Returns the milliseconds until it is ready."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [str(TARGET / "voelgoed-scan-server"), "--listen", f"127.0.0.1:{self.port}",
                   "--rate-limit", "0", "--drain-delay", "0s", "--log", "warn", "--webhook-allow-private"]
        if self.redis_url:
            command += ["--redis-url", self.redis_url]
        environment = {**os.environ, "VOELGOED_SCAN_SECRET_KEY": SECRET,
                       "VOELGOED_SCAN_DATABASE_URL": self.database_url}
        began = time.monotonic()
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=self.log)
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError("the server did not start")
            time.sleep(0.002)
        return (time.monotonic() - began) * 1000

    def ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as wire:
                wire.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return wire.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def restarted(self):
        """Starts the server again, because the memory layout of one process influences all of its turns."""
        self.stop()
        self.start()
        return self

    def memory(self, what):
        """VmRSS (current) or VmHWM (peak) in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{what}:\s+(\d+) kB", status, re.M).group(1)) / 1024


class OtherOrganization(Organization):
    """One more organization on a server."""

    def __init__(self, server, name):
        self.server, self.database_url = server, server.database_url
        self.create_organization(name)

    @property
    def url(self):
        return self.server.url


class Echo:
    """The bare echo, a new process for each turn."""

    def __enter__(self):
        self.process = subprocess.Popen([str(TARGET / "examples" / "bench_echo")], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
