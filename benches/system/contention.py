"""Targets 9 and 10: live scans beside uploads and imports, and organizations beside each other."""

import http.client
import json
import subprocess
import threading
import time
import uuid
from datetime import UTC, datetime

from server import OtherOrganization, Server, cli

UPLOADING_DEVICES = 8
BATCH = 1000
IMPORT_LINES = 3000
SCANS_PER_SECOND = 100
LOCK_SECONDS = 4


class Caller(threading.Thread):
    """Repeats a request until it is told to stop, and counts the answers."""

    def __init__(self, server, method, path, token, content_type, body):
        super().__init__(daemon=True)
        self.server, self.method, self.path, self.body = server, method, path, body
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
        self.stopping = threading.Event()
        self.answers = {}

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        while not self.stopping.is_set():
            connection.request(self.method, self.path, self.body(), self.headers)
            response = connection.getresponse()
            response.read()
            self.answers[response.status] = self.answers.get(response.status, 0) + 1
            if response.status in (429, 503):
                # As a client does that is asked to come back.
                self.stopping.wait(float(response.getheader("Retry-After") or 1))

    def stop(self):
        self.stopping.set()
        self.join()


def upload_body(gate, codes):
    """A batch of new scans of random tickets, made by a device that was offline."""
    def body():
        now = datetime.now(UTC).isoformat()
        scans = [{"scan_id": str(uuid.uuid4()), "ticket_code": codes[uuid.uuid4().int % len(codes)], "gate_id": gate,
                  "scanned_at": now, "local_result": "valid", "local_reason": "admitted"} for _ in range(BATCH)]
        return json.dumps({"batch_id": str(uuid.uuid4()), "sent_at": now, "scans": scans})
    return body


def import_body():
    """Lines of new tickets."""
    return "{}\n" * IMPORT_LINES


def bulk_callers(bench, server, other):
    """Devices of one organization that upload, and an import into it and into another one."""
    path = bench.folder / f"{uuid.uuid4()}.ndjson"
    codes = [uuid.uuid4().hex[:16] for _ in range(50_000)]
    path.write_text("".join(json.dumps({"code": code}) + "\n" for code in codes))
    server.cli("ticket", "import", path, "--event", server.event)
    callers = []
    for number in range(UPLOADING_DEVICES):
        token = server.cli("device", "register", f"upload-{uuid.uuid4()}", "--name", f"Upload {number}")["token"]
        callers.append(Caller(server, "POST", "/api/v1/scanning/sync", token, "application/json",
                              upload_body(server.gate, codes)))
    for organization in (server, other):
        callers.append(Caller(server, "POST", f"/api/v1/events/{organization.event}/tickets", organization.key,
                              "application/x-ndjson", import_body))
    return callers


def scan_both(organizations, seconds):
    """Scans at a steady rate in each organization at the same time. Returns the worse result."""
    found = {}

    def scan(organization):
        try:
            found[organization] = organization.rehearse(seconds, "--devices", 10, "--rate", SCANS_PER_SECOND // 2)
        except RuntimeError as error:
            found[organization] = error
    threads = [threading.Thread(target=scan, args=(organization,)) for organization in organizations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found.values():
        if isinstance(result, RuntimeError):
            raise result
    return max(found.values(), key=lambda result: result["p99"])


def beside_bulk_load(bench, server):
    """The scans of two organizations without and with bulk load, in turn."""
    other = OtherOrganization(server, "Other")

    def loaded():
        callers = bulk_callers(bench, server, other)
        for caller in callers:
            caller.start()
        began = time.monotonic()
        try:
            result = scan_both((server, other), bench.seconds)
        finally:
            for caller in callers:
                caller.stop()
        seconds = time.monotonic() - began
        uploads, imports = callers[:UPLOADING_DEVICES], callers[UPLOADING_DEVICES:]
        result["uploaded"] = sum(caller.answers.get(200, 0) for caller in uploads) * BATCH / seconds
        result["imported"] = sum(caller.answers.get(200, 0) for caller in imports) * IMPORT_LINES / seconds
        bench.log(f"  uploads {result['uploaded']:.0f} scans/s, imports {result['imported']:.0f} tickets/s, "
                  f"{[caller.answers for caller in callers]}")
        return result
    return bench.turns({"quiet": lambda: scan_both((server, other), bench.seconds), "loaded": loaded})


def target_9(bench):
    """Live scans while 8 devices upload batches of 1,000 and two imports run."""
    bench.log("9: live scans beside uploads and imports, SQLite")
    server = Server(f"sqlite://{bench.folder}/bulk.db", log=bench.folder / "bulk.log")
    found = {}
    try:
        found["SQLite"] = beside_bulk_load(bench, server.create_organization())
    finally:
        server.stop()
    bench.log("9: the same on PostgreSQL and Redis")
    server, _ = bench.server_on_postgres()
    try:
        found["PostgreSQL"] = beside_bulk_load(bench, server)
    finally:
        server.stop()
    bench.rows[9] = found


def five_organizations(organizations, seconds, tickets):
    """32 clients over five organizations, closed loop. Returns the sum of the rates."""
    rates = []

    def scan(organization, clients):
        rates.append(organization.rehearse(seconds, "--tickets", tickets, closed=clients))
    threads = [threading.Thread(target=scan, args=(organization, clients))
               for organization, clients in zip(organizations, (7, 7, 6, 6, 6))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(rates) != len(organizations):
        raise RuntimeError("a rehearsal failed")
    return {"rate": sum(result["rate"] for result in rates), "p50": max(result["p50"] for result in rates),
            "p99": max(result["p99"] for result in rates)}


def beside_lock(bench, server, sql, other):
    """The other organization's scans while the rows of this one are locked and its scans wait for them."""
    locker = subprocess.Popen(
        [f"{sql.postgres.bin}/psql", "--no-psqlrc", "-qAt", sql.postgres.url_of(sql.database)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    device = server.cli("device", "register", f"locked-{uuid.uuid4()}", "--name", "Locked")["token"]
    codes = [uuid.uuid4().hex[:16] for _ in range(1000)]
    path = bench.folder / f"{uuid.uuid4()}.ndjson"
    path.write_text("".join(json.dumps({"code": code}) + "\n" for code in codes))
    server.cli("ticket", "import", path, "--event", server.event)
    cli("session", "start", "--event", server.event, "--gate", server.gate, server=server.url, token=device)
    remaining = iter(codes)
    callers = [Caller(server, "POST", "/api/v1/scanning/scan", device, "application/json",
                      lambda: json.dumps({"ticket_code": next(remaining)})) for _ in range(8)]
    lock = f"begin; select 1 from occupancy where organization_id = '{server.organization}' for update;\n"
    locker.stdin.write(lock)
    locker.stdin.flush()
    locker.stdout.readline()
    for caller in callers:
        caller.start()
    result = other.rehearse(LOCK_SECONDS, "--devices", 10, "--rate", SCANS_PER_SECOND, warm_up="0s")
    locker.communicate("rollback;\n")
    for caller in callers:
        caller.stop()
    return result


def target_10(bench):
    """Five organizations against one, and one whose rows are locked beside another."""
    bench.log("10: organizations beside each other")
    server, sql = bench.server_on_postgres()
    try:
        others = [OtherOrganization(server, f"Organization {number}") for number in range(2, 6)]
        tickets = 12_000 * (bench.seconds + 1)

        def one():
            sql.vacuum_and_checkpoint()
            return server.restarted().rehearse(bench.seconds, "--tickets", tickets, closed=32)

        def five():
            sql.vacuum_and_checkpoint()
            return five_organizations([server.restarted(), *others], bench.seconds, tickets // 5)
        rates = bench.turns({"one": one, "five": five})
        locks = bench.turns({
            "unlocked": lambda: others[0].rehearse(LOCK_SECONDS, "--devices", 10, "--rate", SCANS_PER_SECOND,
                                                   warm_up="0s"),
            "locked": lambda: beside_lock(bench, server, sql, others[0]),
        })
        bench.rows[10] = {**rates, **locks}
    finally:
        server.stop()
