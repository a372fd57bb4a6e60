"""Target 14: the size of stored scans, the time of a page of their list by filter, and the cost of indexes."""

import http.client
import json
import statistics
import time
from urllib.parse import urlencode

EVENTS = 5
DEVICES = 100
GATES = 10
PAGE = 100

# The indexes of filters that few lists use. Each costs every scan something.
FILTER_INDEXES = {
    "scans_device": "(organization_id, device_id, scanned_at)",
    "scans_result": "(organization_id, result, scanned_at) where result <> 'valid'",
}


def uuid_of(kind, event, number):
    """The SQL of an id that depends on its arguments alone."""
    return f"md5('{kind}' || ({event}) || '-' || ({number}))::uuid"


def fill(bench, sql, tickets, scans):
    """Scans of several events, one event after the other, each by devices and gates of its own. One in 100 was refused."""
    first = sql.tickets(tickets)
    each, step = scans // EVENTS, 250_000
    for event in range(EVENTS):
        for start in range(event * each, (event + 1) * each, step):
            end = min(start + step, (event + 1) * each) - 1
            sql.postgres.psql(
                sql.database,
                "insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, "
                "session_id, result, reason, direction, scanned_at, received_at, source, decided_by, payload_sha256, "
                "payload_format, payload_kid, shown) "
                "select t.organization_id, (lpad(to_hex(1795370645120 + n), 12, '0') || '7' || substr(r, 1, 3) || '8' || "
                f"substr(r, 4, 15))::uuid, t.id, t.code, {uuid_of('event', event, 0)}, "
                f"{uuid_of('gate', event, f'n % {GATES}')}, {uuid_of('device', event, f'n % {DEVICES}')}, "
                f"{uuid_of('session', event, f'n % {DEVICES}')}, case when n % 100 = 0 then 'refused' else 'valid' end, "
                "case when n % 100 = 0 then 'ticket_voided' else 'admitted' end, 'entry', 1795370645120 + n, "
                "1795370645120 + n, 'online', 'database', sha256(t.code::bytea), 'vg1', '1', "
                "'{\"g\":\"Main\",\"t\":{\"id\":\"' || t.id || '\",\"code\":\"' || t.code || '\",\"status\":\"scanned\","
                "\"ticket_class\":null,\"seat\":null,\"entry_limit\":1,\"scan_count\":1,\"note\":null}}' "
                f"from (select n, md5(n::text || 'x') as r from generate_series({start}, {end}) n) drawn "
                f"join tickets t on t.organization_id = '{sql.ids['org']}' "
                f"and t.code = substr(md5(({first} + n % {tickets})::text), 1, 16)",
            )
        bench.log(f"  filled: {(event + 1) * each} scans")
    sql.postgres.psql(
        sql.database,
        "insert into arrivals (organization_id, event_id, slot, scans) "
        "select organization_id, event_id, scanned_at / 5000, count(*) from scans group by 1, 2, 3 "
        "on conflict (organization_id, event_id, slot) do update set scans = excluded.scans",
    )
    sql.vacuum_and_checkpoint()


def sizes(sql):
    """Bytes of the table `scans` and of each of its indexes, and the number of its rows."""
    rows = int(sql.postgres.psql(sql.database, "select count(*) from scans"))
    table = int(sql.postgres.psql(sql.database, "select pg_table_size('scans')"))
    found = sql.postgres.psql(
        sql.database,
        "select indexrelid::regclass || '|' || pg_relation_size(indexrelid) from pg_index "
        "where indrelid = 'scans'::regclass order by 1",
    )
    indexes = {name: int(size) for name, size in (line.split("|") for line in found.splitlines())}
    return {"rows": rows, "table": table, "indexes": indexes}


def first_page(server, parameters):
    """Reads until the list has given 100 scans or ends. Returns the milliseconds, the requests and the scans."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    began, requests, found, cursor = time.monotonic(), 0, 0, None
    while found < PAGE:
        asked = {**parameters, "limit": PAGE - found, **({"cursor": cursor} if cursor else {})}
        connection.request("GET", f"/api/v1/scanning/scans?{urlencode(asked)}",
                           headers={"Authorization": f"Bearer {server.key}"})
        response = connection.getresponse()
        body = json.loads(response.read())
        if response.status == 503:
            time.sleep(float(response.getheader("Retry-After") or 1))
            continue
        if response.status != 200:
            raise RuntimeError(f"the list: {response.status} {body}")
        requests += 1
        found += len(body["data"])
        cursor = body["next_cursor"]
        if not cursor:
            break
    return {"ms": (time.monotonic() - began) * 1000, "requests": requests, "scans": found}


def ids(sql, *of):
    return sql.postgres.psql(sql.database, f"select {uuid_of(*of)}")


def by_filter(bench, server, sql):
    """The time of a page by each filter. The list begins with the newest event, so the oldest one is the hardest."""
    filters = {
        "none": {},
        "the newest event": {"event_id": ids(sql, "event", EVENTS - 1, 0)},
        "the oldest event": {"event_id": ids(sql, "event", 0, 0)},
        "a device of the oldest event": {"device_id": ids(sql, "device", 0, 7)},
        "the same device, refused": {"device_id": ids(sql, "device", 0, 7), "result": "refused"},
        "refused": {"result": "refused"},
        "the oldest event, a gate": {"event_id": ids(sql, "event", 0, 0), "gate_id": ids(sql, "gate", 0, 3)},
        "the oldest event, refused": {"event_id": ids(sql, "event", 0, 0), "result": "refused"},
    }
    found = {}
    for name, parameters in filters.items():
        runs = [first_page(server, parameters) for _ in range(min(3, bench.rounds))]
        found[name] = {**runs[0], "ms": statistics.median(run["ms"] for run in runs)}
        bench.log(f"  {name}: {found[name]['ms']:.1f} ms, {found[name]['requests']} requests, {found[name]['scans']} scans")
    return found


def page_by_brin(sql):
    """The milliseconds of the newest 100 scans by the index of the time, and by a BRIN index in its place."""
    page = (f"select * from scans where organization_id = '{sql.ids['org']}' and scanned_at < 9000000000000 "
            f"order by scanned_at desc, scan_id desc limit {PAGE}")

    def run(prepare):
        plan = sql.postgres.psql(
            sql.database, f"begin; {prepare} explain (analyze, format json) {page}; rollback;")
        return json.loads(plan)[0]["Execution Time"]
    return {"scans_time": run(""), "brin": run(
        "drop index scans_time; create index scans_brin on scans using brin (scanned_at);")}


def create_indexes(sql):
    for name, definition in FILTER_INDEXES.items():
        sql.postgres.psql(sql.database, f"create index if not exists {name} on scans {definition}")


def drop_indexes(sql):
    for name in FILTER_INDEXES:
        sql.postgres.psql(sql.database, f"drop index if exists {name}")


def target_14(bench):
    """Fills a database, lists its scans by each filter, and compares writes with and without the indexes of filters."""
    bench.log("14: stored scans: sizes, lists by filter, cost of the indexes")
    tickets, scans = (100_000, 500_000) if bench.quick else (1_000_000, 5_000_000)
    server, sql = bench.server_on_postgres()
    try:
        fill(bench, sql, tickets, scans)
        found = {"sizes": sizes(sql), "lists": by_filter(bench, server, sql), "brin": page_by_brin(sql)}

        def write(prepare):
            prepare(sql)
            return sql.run("one.sql", bench.seconds, 32, 9_000)
        found["writes"] = bench.turns({
            "with": lambda: write(create_indexes),
            "without": lambda: write(drop_indexes),
        }, rounds=min(3, bench.rounds))
        bench.rows[14] = found
    finally:
        server.stop()
