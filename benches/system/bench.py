"""Compares the server with plain SQL and a bare HTTP echo. `scripts/bench` calls it.

Every claim is a ratio of two medians of one run, in which the two sides take turns. The smallest ratio is also given by turn.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import build
import contention
import growth
import manifest
import page
import plot
import storage
import webhooks
from server import Echo, Server
from sql import SqlTickets, Postgres

CLIENTS = [1, 2, 4, 8, 16, 32, 64, 128]


class Bench:
    """State that all targets share."""

    def __init__(self, options):
        self.quick = options.quick
        self.seconds = options.seconds or (3 if options.quick else 10)
        self.short = max(2, self.seconds // 3)
        self.rounds = options.rounds or (1 if options.quick else 5)
        self.postgres = Postgres()
        self.redis = os.environ["VOELGOED_SCAN_TEST_REDIS_URL"]
        # The databases take gigabytes. They are removed after the run.
        self.scratch = tempfile.TemporaryDirectory(prefix="voelgoed-scan-bench.")
        self.folder = Path(self.scratch.name)
        self.databases = 0
        self.rows = {}
        self.series = {}

    def log(self, text):
        print(text, file=sys.stderr, flush=True)

    def turns(self, sides, rounds=None):
        """Runs the sides in turn (A B A B ...) and returns the results of each."""
        given = {name: [] for name in sides}
        for turn in range(rounds or self.rounds):
            for name, run in sides.items():
                result = run()
                given[name].append(result)
                self.log(f"  {name} {turn + 1}: {result['rate']:.0f}/s p50 {result['p50']:.3f} p99 {result['p99']:.3f} ms")
        return given

    def database(self):
        self.databases += 1
        return f"bench_{self.databases}"

    def server_on_postgres(self, redis=True):
        """A server on a new database, and the same database for plain SQL."""
        name = self.database()
        server = Server(self.postgres.create(name), self.redis if redis else None, self.folder / f"{name}.log")
        server.create_organization()
        device, session = server.start_session()
        sql = SqlTickets(self.postgres, name, server.organization, server.event, server.gate, device, session)
        return server, sql

    def fresh(self, server, sql, clients, seconds=None, max_rate=12_000):
        """First-time valid scans over HTTP, closed loop."""
        seconds = seconds or self.seconds
        sql.vacuum_and_checkpoint()
        return server.restarted().rehearse(seconds, "--tickets", max_rate * (seconds + 1), closed=clients)


def target_1(bench):
    bench.log("1: first-time valid scans on PostgreSQL and Redis, against pgbench")
    server, sql = bench.server_on_postgres()
    max_rate = 15_000
    try:
        found = {}
        for clients in (8, 32):
            found[clients] = bench.turns({
                f"server, {clients}": lambda: bench.fresh(server, sql, clients),
                f"one statement, {clients}": lambda: sql.run("one.sql", bench.seconds, clients, max_rate),
                f"with counters, {clients}": lambda: sql.run("counted.sql", bench.seconds, clients, max_rate),
                f"set of {clients}": lambda: sql.run("many.sql", bench.seconds, 1, 25_000, batch=clients),
                f"server with a capacity, {clients}": lambda: fresh_with_capacity(bench, server, sql, clients),
            })
        bench.rows[1] = found
    finally:
        server.stop()


def fresh_with_capacity(bench, server, sql, clients):
    """As `fresh`, at an event with a capacity."""
    server.set_capacity(500_000)
    try:
        return bench.fresh(server, sql, clients)
    finally:
        server.set_capacity("none")


def target_2(bench):
    bench.log("2: duplicates from memory, against a bare echo")
    server, sql = bench.server_on_postgres()
    duplicates = ["--duplicates", "100%", "--tickets", 0]
    paced_load = ["--devices", 50, "--rate", 5000, *duplicates]

    def paced_echo():
        with Echo() as echo:
            return server.rehearse(bench.short, *paced_load, "--against", echo.url)

    try:
        # The p50 varies with the load of the machine and with the memory layout of each process. Many short turns, each
        # with new processes, average both.
        paced = bench.turns({
            "server, 5000/s": lambda: server.restarted().rehearse(bench.short, *paced_load),
            "echo, 5000/s": paced_echo,
        }, rounds=bench.rounds * 15)
        full, beside = [], []
        for turn in range(bench.rounds):
            sql.vacuum_and_checkpoint()
            full.append(server.restarted().rehearse(bench.seconds, *duplicates, closed=32))
            sql.vacuum_and_checkpoint()
            beside.append(echo_beside_inserts(bench, server, sql, duplicates, full[-1]["rate"]))
            bench.log(f"  full load {turn + 1}: server {full[-1]['rate']:.0f}/s, echo beside {beside[-1]['rate']:.0f}/s")
        bench.rows[2] = {"paced": paced, "full": full, "beside": beside}
    finally:
        server.stop()


def echo_beside_inserts(bench, server, sql, duplicates, rows_a_second):
    """The echo at full load while pgbench inserts as many records a second as the server did, in sets of the same size."""
    import threading
    inserts = threading.Thread(target=lambda: sql.postgres.pgbench(
        sql.database, "records.sql", bench.seconds + 4, 1, {**sql.ids, "base": 0, "batch": 256},
        rate=max(1, rows_a_second / 256)))
    with Echo() as echo:
        # The set-up of the echo (event, devices, tickets) happens before the measurement starts.
        inserts.start()
        result = server.rehearse(bench.seconds, *duplicates, "--against", echo.url, closed=32)
    inserts.join()
    return result


def target_3(bench):
    bench.log("3: SQLite, 32 clients against 1")
    server = Server(f"sqlite://{bench.folder}/bench.db", log=bench.folder / "sqlite.log")
    try:
        server.create_organization()
        bench.rows[3] = bench.turns({
            "1": lambda: server.rehearse(bench.seconds, "--tickets", 12_000 * (bench.seconds + 1), closed=1),
            "32": lambda: server.rehearse(bench.seconds, "--tickets", 12_000 * (bench.seconds + 1), closed=32),
        })
    finally:
        server.stop()


def target_4(bench):
    bench.log("4: 500 scans a second from 50 devices, on PostgreSQL and Redis")
    server, sql = bench.server_on_postgres()
    try:
        def server_turn():
            sql.vacuum_and_checkpoint()
            return server.rehearse(bench.seconds, "--devices", 50, "--rate", 500)
        # The in-process cache holds 16,000 tickets. Memory is read once the cache is full.
        bench.fresh(server, sql, 32, 5)
        bench.rows[4] = bench.turns({
            "server": server_turn,
            "pgbench -R 500": lambda: sql.run("one.sql", bench.seconds, 50, 600, rate=500),
        })
        bench.rows["memory at 4"] = server.memory("VmRSS")
        bench.log(f"  the server holds {bench.rows['memory at 4']:.0f} MiB")
    finally:
        server.stop()


def by_clients(bench):
    bench.log("the plot: rate and p99 by number of clients")
    server, sql = bench.server_on_postgres()
    seconds = 2 if bench.quick else min(5, bench.seconds)
    try:
        for clients in CLIENTS[::2] + [128] if bench.quick else CLIENTS:
            one = bench.fresh(server, sql, clients, seconds)
            other = sql.run("one.sql", seconds, clients, 12_000)
            bench.series[clients] = {"server": one, "pgbench": other}
            bench.log(f"  {clients}: server {one['rate']:.0f}/s {one['p99']:.1f} ms, "
                      f"pgbench {other['rate']:.0f}/s {other['p99']:.1f} ms")
    finally:
        server.stop()


TARGETS = {1: target_1, 2: target_2, 3: target_3, 4: target_4, 5: growth.target_5, 6: growth.target_6,
           7: growth.target_7, 9: contention.target_9, 10: contention.target_10, 11: manifest.target_11,
           12: build.target_12, 13: webhooks.target_13, 14: storage.target_14}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=int, help="how long a turn is: 10 without it")
    parser.add_argument("--rounds", type=int, help="how many turns each side has: 5 without it")
    parser.add_argument("--only", type=int, action="append", metavar="TARGET")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    bench = Bench(options)
    for number, target in TARGETS.items():
        if not options.only or number in options.only:
            target(bench)
    if not options.only or 1 in options.only:
        by_clients(bench)
    options.out.mkdir(parents=True, exist_ok=True)
    if bench.series:
        (options.out / "performance.svg").write_text(plot.draw(bench.series))
    (options.out / "performance.md").write_text(page.write(bench, options))
    bench.log(f"written: {options.out}/performance.md")


if __name__ == "__main__":
    main()
