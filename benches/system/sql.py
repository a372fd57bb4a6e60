"""The PostgreSQL side: databases, tickets made by SQL, pgbench."""

import glob
import os
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent / "pgbench"


class Postgres:
    """The PostgreSQL that `scripts/services` started."""

    def __init__(self):
        self.url = os.environ["VOELGOED_SCAN_TEST_POSTGRES_URL"]
        self.bin = os.environ["VOELGOED_SCAN_TEST_POSTGRES_BIN"]

    def url_of(self, database):
        return self.url.rsplit("/", 1)[0] + "/" + database

    def psql(self, database, sql, check=True):
        command = [f"{self.bin}/psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", self.url_of(database)]
        done = subprocess.run(command, input=sql, capture_output=True, text=True)
        if check and done.returncode:
            raise RuntimeError(f"psql: {done.stderr}")
        return done.stdout.strip()

    def create(self, database):
        self.psql("postgres", f"create database {database}")
        return self.url_of(database)

    def version(self):
        return self.psql("postgres", "show server_version")

    def settings(self):
        """Returns the settings that differ from a fresh cluster, and the usual ones."""
        changed = self.psql(
            "postgres",
            "select name || ' = ' || current_setting(name) from pg_settings "
            "where source in ('configuration file', 'command line') and name not in "
            "('config_file', 'data_directory', 'hba_file', 'ident_file', 'port', 'unix_socket_directories', "
            "'listen_addresses', 'password_encryption') and setting is distinct from boot_val "
            "and name !~ '^(lc_|log_|DateStyle|TimeZone|default_text)' order by 1",
        ).splitlines()
        asked = self.psql(
            "postgres",
            "select name || ' = ' || current_setting(name) from pg_settings where name in ('shared_buffers', "
            "'synchronous_commit', 'fsync', 'full_page_writes', 'max_wal_size', 'wal_sync_method') order by 1",
        ).splitlines()
        return changed, asked

    def pgbench(self, database, script, seconds, clients, variables, rate=None):
        """Runs a script; tps and, of each transaction, its latency in ms (from when it was due, with a rate)."""
        with tempfile.TemporaryDirectory(prefix="voelgoed-scan-bench.") as folder:
            command = [
                f"{self.bin}/pgbench", "--no-vacuum", "-M", "prepared", "-f", str(SCRIPTS / script),
                "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds), "-l",
                "--log-prefix", f"{folder}/log",
            ]
            if rate:
                command += ["-R", str(rate)]
            for name, value in {"clients": clients, "n": 0, **variables}.items():
                command += ["-D", f"{name}={value}"]
            url = urlsplit(self.url)
            environment = {
                **os.environ, "PGHOST": url.hostname, "PGPORT": str(url.port), "PGUSER": url.username,
                "PGPASSWORD": url.password, "PGDATABASE": database,
            }
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"pgbench: {done.stderr}")
            latencies = []
            for path in glob.glob(f"{folder}/log*"):
                with open(path) as log:
                    # client, transaction, microseconds, script, epoch seconds, and its microseconds
                    latencies += [int(line.split()[2]) / 1000 for line in log]
        latencies.sort()
        tps = float(re.search(r"^tps = ([0-9.]+)", done.stdout, re.M).group(1))
        return {"rate": tps, "p50": at(latencies, 0.50), "p99": at(latencies, 0.99), "count": len(latencies)}


def at(ordered, quantile):
    return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))] if ordered else 0.0


class SqlTickets:
    """An event in a database, with tickets that pgbench scans: the same rows that an import makes."""

    def __init__(self, postgres, database, organization, event, gate, device, session):
        self.postgres, self.database = postgres, database
        self.ids = {"org": organization, "event": event, "server": server_turn, "device": device, "session": session}
        self.made = 0

    def tickets(self, count):
        """Makes tickets; the number of the first."""
        first = self.made
        self.made += count
        ids = self.ids
        self.postgres.psql(
            self.database,
            "insert into tickets (organization_id, id, event_id, code, status, entry_limit, inserted_at, updated_at) "
            f"select '{ids['org']}', gen_random_uuid(), '{ids['event']}', substr(md5(n::text), 1, 16), 'active', 1, "
            f"1795370645120, 1795370645120 from generate_series({first}, {self.made - 1}) n",
        )
        return first

    def run(self, script, seconds, clients, max_rate, batch=1, rate=None):
        """Scans new tickets at up to the given rate."""
        base = self.tickets(int(max_rate * (seconds + 1)))
        self.vacuum_and_checkpoint()
        variables = {**self.ids, "base": base, "batch": batch}
        before = self.scanned()
        result = self.postgres.pgbench(self.database, script, seconds, clients, variables, rate)
        result["rate"] *= batch
        expected, seen = result["count"] * batch, self.scanned() - before
        if script != "records.sql" and seen < expected * 0.999:
            raise RuntimeError(f"{script}: {expected} scans were run and {seen} recorded: too few tickets")
        return result

    def scanned(self):
        return int(self.postgres.psql(
            self.database, f"select count(*) from scans where organization_id = '{self.ids['org']}'"
        ))

    def vacuum_and_checkpoint(self):
        """Gives every run the same start: no dirty pages, current statistics."""
        self.postgres.psql(self.database, "vacuum (analyze); checkpoint;")
