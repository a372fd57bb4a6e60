"""Target 11: the manifest of an event with 100,000 tickets, from a node that has just started, and on a phone."""

import http.client
import json
import subprocess
import threading
import time

from server import TARGET

TICKETS = 100_000
DEVICES = 20
FILE = "application/vnd.voelgoed-scan.manifest+gzip"

# What a manifest contains of a ticket, read by plain SQL.
PLAIN = ("copy (select code, version, status, ticket_class, gate_ids, valid_from, valid_until, entry_limit, ledger "
         "from tickets where organization_id = '{org}' and event_id = '{event}' order by code) to stdout;")


def fetch(server, token):
    """Downloads the manifest. Returns the number of its bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", f"/api/v1/scanning/events/{server.event}/manifest", None,
                       {"Authorization": f"Bearer {token}", "Accept": FILE})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200 or response.getheader("Content-Type") != FILE:
        raise RuntimeError(f"the manifest: {response.status} {response.getheader('Content-Type')}")
    return len(body)


def together(server, tokens):
    """All devices at once. Returns the seconds until the last one has the manifest."""
    sizes = []
    threads = [threading.Thread(target=lambda token=token: sizes.append(fetch(server, token))) for token in tokens]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    if len(sizes) != len(tokens):
        raise RuntimeError("a device has no manifest")
    return seconds


def timed(run):
    began = time.monotonic()
    run()
    return time.monotonic() - began


def target_11(bench):
    bench.log(f"11: the manifest of {TICKETS:,} tickets, against plain SQL")
    server, sql = bench.server_on_postgres()
    found = {"first": [], "together": [], "plain": [], "phone": []}
    try:
        sql.tickets(TICKETS)
        tokens = [server.cli("device", "register", f"manifest-{number}", "--name", f"Manifest {number}")["token"]
                  for number in range(DEVICES)]
        sql.vacuum_and_checkpoint()
        plain = PLAIN.format(**sql.ids)
        for turn in range(bench.rounds):
            server.restarted()
            found["first"].append(timed(lambda: fetch(server, tokens[0])))
            found["plain"].append(timed(lambda: sql.postgres.psql(sql.database, plain)))
            server.restarted()
            found["together"].append(together(server, tokens))
            opened = subprocess.run([str(TARGET / "examples" / "bench_phone_open")], capture_output=True, text=True,
                                    check=True)
            found["phone"].append(json.loads(opened.stdout))
            bench.log(f"  turn {turn + 1}: first {found['first'][-1]:.2f} s, {DEVICES} at once "
                      f"{found['together'][-1]:.2f} s, plain SQL {found['plain'][-1]:.2f} s, phone {found['phone'][-1]}")
        found["size"] = fetch(server, tokens[0])
        bench.rows[11] = found
    finally:
        server.stop()
