"""Targets 5 to 7: stored tickets and scans, import, memory, start."""

import json
import subprocess
import time

from server import Server


def fill(bench, server, sql, tickets, scans):
    """Stored tickets of the event, and scans of them, by SQL."""
    ids = sql.ids
    first = sql.tickets(tickets)
    # In steps, because one statement would need gigabytes.
    step = 500_000
    for start in range(0, scans, step):
        sql.postgres.psql(
            sql.database,
            "insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, "
            "session_id, result, reason, direction, scanned_at, received_at, source, decided_by, payload_sha256, "
            "payload_format, payload_kid, shown) "
            "select t.organization_id, (lpad(to_hex(1795370645120 + n), 12, '0') || '7' || substr(r, 1, 3) || '8' || "
            f"substr(r, 4, 15))::uuid, t.id, t.code, t.event_id, '{ids['gate']}', '{ids['device']}', "
            f"'{ids['session']}', 'duplicate', 'already_scanned', 'entry', 1795370645120 + n, 1795370645120 + n, "
            "'online', 'database', sha256(t.code::bytea), 'vg1', '1', "
            "'{\"g\":\"Main\",\"t\":{\"id\":\"' || t.id || '\",\"code\":\"' || t.code || '\",\"status\":\"scanned\","
            "\"ticket_class\":null,\"seat\":null,\"entry_limit\":1,\"scan_count\":1,\"note\":null}}' "
            f"from (select n, md5(n::text || 'x') as r from generate_series({start}, {start + step - 1}) n) drawn "
            f"join tickets t on t.organization_id = '{ids['org']}' "
            f"and t.code = substr(md5(({first} + n % {tickets})::text), 1, 16)",
        )
        bench.log(f"  filled: {min(start + step, scans)} scans")


def target_5(bench):
    """Compares the rate with much stored data with the rate with little."""
    bench.log("5: growth")
    stored = (100_000, 500_000) if bench.quick else (1_000_000, 5_000_000)
    small, small_tickets = bench.server_on_postgres()
    large, large_tickets = bench.server_on_postgres()
    try:
        fill(bench, large, large_tickets, *stored)

        def run(server, sql):
            # The tickets of the run itself count as part of the small amount.
            sql.vacuum_and_checkpoint()
            return server.rehearse(bench.seconds, "--tickets", 20_000, closed=32, warm_up="200ms")
        bench.rows[5] = bench.turns({
            "20,000 tickets": lambda: run(small, small_tickets),
            "grown": lambda: run(large, large_tickets),
        })
        bench.rows["stored"] = stored
    finally:
        small.stop()
        large.stop()


def lines(path, count):
    with open(path, "w") as file:
        for number in range(count):
            file.write(json.dumps({
                "code": f"{number:08d}Rehearse", "ticket_class": "Standard", "holder_name": f"Guest {number}",
                "order_ref": f"O-{number // 2}", "seat": {"block": "A", "row": str(number % 90), "number": str(number % 40)},
            }) + "\n")


def timed_import(server, path):
    began = time.monotonic()
    counts = server.cli("ticket", "import", path, "--event", server.event)
    seconds = time.monotonic() - began
    return counts["inserted"] / seconds


def target_6(bench):
    """An import of a million tickets: memory, and the rate against COPY into the same table."""
    bench.log("6: memory, and an import against COPY")
    count = 100_000 if bench.quick else 1_000_000
    path = bench.folder / "tickets.ndjson"
    lines(path, count)
    rates, copies, memory = [], [], 0.0
    for turn in range(min(3, bench.rounds)):
        server, sql = bench.server_on_postgres()
        try:
            rates.append(timed_import(server, path))
            memory = max(memory, server.memory("VmHWM"))
            copies.append(copy(sql, bench.folder / "copy.tsv"))
        finally:
            server.stop()
        bench.log(f"  {turn + 1}: import {rates[-1]:.0f}/s, COPY {copies[-1]:.0f}/s, {memory:.0f} MiB at most")
    server = Server(f"sqlite://{bench.folder}/import.db", log=bench.folder / "import.log")
    try:
        server.create_organization()
        sqlite = timed_import(server, path)
        sqlite_memory = server.memory("VmHWM")
    finally:
        server.stop()
    bench.log(f"  SQLite: import {sqlite:.0f}/s, {sqlite_memory:.0f} MiB at most")
    bench.rows[6] = {"count": count, "rates": rates, "copies": copies, "memory": memory,
                     "sqlite": sqlite, "sqlite_memory": sqlite_memory}


def copy(sql, path):
    """COPY of the rows that the import made into the same table."""
    postgres = sql.postgres
    postgres.psql(sql.database, f"\\copy tickets to '{path}'")
    count = int(postgres.psql(sql.database, "select count(*) from tickets"))
    postgres.psql(sql.database, "truncate tickets; checkpoint;")
    began = time.monotonic()
    postgres.psql(sql.database, f"\\copy tickets from '{path}'")
    seconds = time.monotonic() - began
    path.unlink()
    return count / seconds


def target_7(bench):
    """Measures from the start of the process to the first 200 of /readyz, on an existing database."""
    bench.log("7: start")
    server, sql = bench.server_on_postgres()
    sql.tickets(100_000)
    starts = []
    try:
        for _ in range(5 if bench.quick else 11):
            server.stop()
            starts.append(server.start())
    finally:
        server.stop()
    bench.rows[7] = sorted(starts)
    bench.log(f"  ready within {bench.rows[7][len(starts) // 2]:.0f} ms")


def machine():
    """Describes the machine without its name."""
    def read(command):
        return subprocess.run(command, shell=True, capture_output=True, text=True).stdout.strip()
    return {
        "CPU": read("lscpu | sed -n 's/^Model name: *//p' | head -n 1") + ", " + read("nproc") + " cores",
        "memory": read("free -h --si | awk '/^Mem:/ {print $2}'"),
        "system": read("uname -sr"),
        "compiler": read("rustc --version"),
        "Redis": read("redis-server --version | sed 's/ sha.*//'"),
        "load before the run": read("cut -d' ' -f1-3 /proc/loadavg"),
    }
