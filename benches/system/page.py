"""Writes docs/performance.md: one row for each target, the method, the machine and the pieces."""

import json
import os
import statistics
from pathlib import Path

import growth

TARGET = Path(os.environ.get("VOELGOED_SCAN_BENCH_TARGET", "target"))
NOT_RUN = ("not run", "", "", "no")


def median(results, what="rate"):
    return statistics.median(result[what] for result in results)


def ratio(one, other, what="rate"):
    turns = [a[what] / b[what] for a, b in zip(one, other)]
    return median(one, what) / median(other, what), min(turns), max(turns)


def spread(found, digits=2):
    middle, lowest, highest = found
    return f"**{middle:.{digits}f} x** ({lowest:.{digits}f} to {highest:.{digits}f})"


def rates(results):
    each = sorted(result["rate"] for result in results)
    return f"{statistics.median(each):,.0f}/s ({each[0]:,.0f} to {each[-1]:,.0f})"


def met(*conditions):
    return "yes" if all(conditions) else "no"


def row_1(bench):
    found = bench.rows.get(1)
    if not found:
        return NOT_RUN
    at_8 = ratio(found[8]["server, 8"], found[8]["one statement, 8"])
    at_32 = ratio(found[32]["server, 32"], found[32]["one statement, 32"])
    counted = ratio(found[32]["server, 32"], found[32]["with counters, 32"])
    ceiling = ratio(found[32]["server, 32"], found[32]["set of 32"])
    return (
        f"32 clients {rates(found[32]['server, 32'])}, 8 clients {rates(found[8]['server, 8'])}; at an event with a "
        f"capacity {rates(found[32]['server with a capacity, 32'])}, {rates(found[8]['server with a capacity, 8'])}",
        f"pgbench, one statement a scan: {rates(found[32]['one statement, 32'])}, "
        f"{rates(found[8]['one statement, 8'])}; with the counters {rates(found[32]['with counters, 32'])}; "
        f"sets of 32 {rates(found[32]['set of 32'])}",
        f"32: {spread(at_32)} of 1.0; 8: {spread(at_8)} of 0.6; with the counters {spread(counted)}; "
        f"of the sets {spread(ceiling)} (aim: 0.6)",
        met(at_32[0] >= 1.0, at_8[0] >= 0.6),
    )


def row_2(bench):
    found = bench.rows.get(2)
    if not found:
        return NOT_RUN
    server, echo = found["paced"]["server, 5000/s"], found["paced"]["echo, 5000/s"]
    paced, full = ratio(server, echo, "p50"), ratio(found["full"], found["beside"])
    by_turns = statistics.median(one["p50"] / other["p50"] for one, other in zip(server, echo))
    return (
        f"p50 {median(server, 'p50'):.3f} ms at 5,000/s; full load {rates(found['full'])}",
        f"bare echo: p50 {median(echo, 'p50'):.3f} ms at 5,000/s; full load beside the same inserts "
        f"{rates(found['beside'])}",
        f"p50 {spread(paced, 3)} of at most 1.25, {len(server)} turns of {bench.short} s, each of new processes, and "
        f"**{by_turns:.3f} x** as the median of each turn beside the next; full load {spread(full)} of 0.5",
        met(paced[0] <= 1.25, by_turns <= 1.25, full[0] >= 0.5),
    )


def row_3(bench):
    found = bench.rows.get(3)
    if not found:
        return NOT_RUN
    gain = ratio(found["32"], found["1"])
    return (f"32 clients {rates(found['32'])}", f"1 client {rates(found['1'])}", f"{spread(gain)} of 2.0",
            met(gain[0] >= 2.0))


def row_4(bench):
    found = bench.rows.get(4)
    if not found:
        return NOT_RUN
    server, plain = found["server"], found["pgbench -R 500"]
    p50, p99 = median(server, "p50"), median(server, "p99")
    return (
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, no error",
        f"pgbench -R 500: p50 {median(plain, 'p50'):.2f} ms, p99 {median(plain, 'p99'):.2f} ms",
        "limits: p50 under 2 ms, p99 under 10 ms",
        met(p50 < 2, p99 < 10),
    )


def row_5(bench):
    found = bench.rows.get(5)
    if not found:
        return NOT_RUN
    grown = ratio(found["grown"], found["20,000 tickets"])
    tickets, scans = bench.rows["stored"]
    return (
        f"{tickets:,} tickets and {scans:,} scans stored: {rates(found['grown'])}",
        f"20,000 tickets: {rates(found['20,000 tickets'])}",
        f"{spread(grown)} of 0.85",
        met(grown[0] >= 0.85, tickets >= 1_000_000, scans >= 5_000_000),
    )


def row_6(bench):
    found, small = bench.rows.get(6), bench.rows.get("memory at 4")
    if not found or not small:
        return NOT_RUN
    gain = statistics.median(found["rates"]) / statistics.median(found["copies"])
    return (
        f"{small:.0f} MiB at target 4; {found['memory']:.0f} MiB at most while {found['count']:,} tickets come in, "
        f"{statistics.median(found['rates']):,.0f}/s; SQLite {found['sqlite']:,.0f}/s, {found['sqlite_memory']:.0f} MiB",
        f"COPY of the same rows into the same table: {statistics.median(found['copies']):,.0f}/s",
        f"limits: 64 and 128 MiB; **{gain:.2f} x** of COPY, of 0.4",
        met(small < 64, found["memory"] < 128, gain >= 0.4, found["count"] >= 1_000_000),
    )


def row_7(bench):
    found = bench.rows.get(7)
    if not found:
        return NOT_RUN
    middle = statistics.median(found)
    return (f"ready after {middle:.0f} ms ({found[0]:.0f} to {found[-1]:.0f})", "none",
            "limit: 300 ms", met(middle < 300))


def criterion(name):
    """A criterion median in microseconds."""
    path = TARGET / "criterion" / name.replace("/", "_") / "new" / "estimates.json"
    if not path.exists():
        path = TARGET / "criterion" / name / "new" / "estimates.json"
    return json.loads(path.read_text())["median"]["point_estimate"] / 1000 if path.exists() else None


PIECES = ["parse/vg1", "parse/vg2", "parse/phoenix", "verify/vg1", "verify/vg2", "verify/phoenix", "fingerprint/vg1",
          "decide/admitted", "memory/duplicate", "json/request", "json/answer", "phone/load", "phone/find", "phone/scan"]


def row_8():
    times = {name: criterion(name) for name in PIECES}
    if not times["verify/vg1"]:
        return NOT_RUN
    times_of_formats = ", ".join(f"{name} {times[name]:.2f} µs" for name in PIECES[3:6] if times[name])
    find, decide, scan = times["phone/find"], times["decide/admitted"], times["phone/scan"]
    phone = (f"; on a phone find and decide {find + decide:.2f} µs, all of a scan with its durable record "
             f"{scan / 1000:.2f} ms" if find and decide and scan else "; on a phone: not measured here")
    return (times_of_formats + phone, "none",
            "limits: VG1 3 µs, VG2 80 µs, phone 20 µs and 5 ms",
            met(times["verify/vg1"] < 3, times["verify/vg2"] < 80, find and decide and find + decide < 20, scan and scan < 5000))


def row_9(bench):
    found = bench.rows.get(9)
    if not found:
        return NOT_RUN
    measured, baselines, ratios, conditions = [], [], [], []
    for database, limit in (("SQLite", 250), ("PostgreSQL", 100)):
        quiet, loaded = found[database]["quiet"], found[database]["loaded"]
        slower, p99 = ratio(loaded, quiet, "p99"), median(loaded, "p99")
        measured.append(f"{database}: p99 {p99:.1f} ms, no error; uploads {median(loaded, 'uploaded'):,.0f} scans/s, imports "
                    f"{median(loaded, 'imported'):,.0f} tickets/s")
        baselines.append(f"{database}: quiet p99 {median(quiet, 'p99'):.1f} ms")
        ratios.append(f"{database} {spread(slower)} of at most 5, limit {limit} ms")
        conditions += [slower[0] <= 5, p99 < limit]
    return "; ".join(measured), "; ".join(baselines), "; ".join(ratios), met(*conditions)


def row_10(bench):
    found = bench.rows.get(10)
    if not found:
        return NOT_RUN
    rate, slower = ratio(found["five"], found["one"]), ratio(found["locked"], found["unlocked"], "p99")
    return (
        f"32 clients over five organizations {rates(found['five'])}; beside a locked organization p99 "
        f"{median(found['locked'], 'p99'):.1f} ms",
        f"one organization {rates(found['one'])}; without the lock p99 {median(found['unlocked'], 'p99'):.1f} ms",
        f"{spread(rate)} of 1.0; p99 {spread(slower)} of at most 2",
        met(rate[0] >= 1.0, slower[0] <= 2),
    )


def row_11(bench):
    found = bench.rows.get(11)
    if not found:
        return NOT_RUN
    first, together, plain = (statistics.median(found[name]) for name in ("first", "together", "plain"))
    ms = statistics.median(one["ms"] for one in found["phone"])
    peak, stays = (statistics.median(one[name] for one in found["phone"]) * 1024 / 1e6 for name in ("peak_kib", "stays_kib"))
    return (
        f"first {first:.2f} s, {found['size'] / 1e6:.1f} MB; 20 devices at once {together:.2f} s; opened on a phone in "
        f"{ms:.0f} ms, {peak:.1f} MB at most and {stays:.1f} MB afterwards",
        f"the same rows by COPY: {plain:.2f} s",
        f"limits: 1.0 s, 2.0 s, 300 ms, 12 MB; first **{first / plain:.1f} x** of COPY",
        met(first < 1.0, together < 2.0, ms < 300, peak < 12),
    )


def row_12(bench):
    found = bench.rows.get(12)
    if not found:
        return NOT_RUN
    now, first = found["now"], found["first edition"]
    gain = now["seconds"] / first["seconds"]
    return (f"{now['seconds']:,.0f} processor seconds (`{now['command']}`)",
            f"the first edition: {first['seconds']:,.0f} (`{first['command']}`)", f"**{gain:.2f} x** of at most 0.5",
            met(gain <= 0.5))


def row_13(bench):
    found = bench.rows.get(13)
    if not found:
        return NOT_RUN
    taking, hanging = ratio(found["taking"], found["none"]), ratio(found["hanging"], found["none"])
    beside = ratio(found["hanging"], found["taking"])
    share = statistics.median(one["delivered"] / one["scans"] for one in found["taking"])
    return (
        f"a receiver that takes everything {rates(found['taking'])}, which was told of {share:.0%} of the scans meanwhile; "
        f"one that hangs {rates(found['hanging'])}",
        f"no webhook {rates(found['none'])}",
        f"taking {spread(taking)} of 0.8; hanging {spread(hanging)} of 0.8, {spread(beside)} of taking",
        met(taking[0] >= 0.8, hanging[0] >= 0.8),
    )


def row_14(bench):
    found = bench.rows.get(14)
    if not found:
        return NOT_RUN
    sizes, writes = found["sizes"], found["writes"]
    rows, indexes = sizes["rows"], sum(sizes["indexes"].values())
    cost = ratio(writes["with"], writes["without"])
    slowest = max(one["ms"] for one in found["lists"].values())
    return (
        f"{rows:,} scans take {(sizes['table'] + indexes) / 1e9:.1f} GB; the slowest page of 100 by any filter {slowest:.0f} ms; "
        f"one.sql {rates(writes['with'])}",
        f"without the indexes of devices and results {rates(writes['without'])}",
        f"with these two indexes {spread(cost)}; no target",
        "",
    )


def storage_lines(bench):
    """The sizes and lists of target 14."""
    found = bench.rows.get(14)
    if not found:
        return []
    sizes = found["sizes"]
    rows = sizes["rows"]
    lines = ["", "## Storage", "", f"{rows:,} scans of 5 events on PostgreSQL.", "", "| part | bytes a scan |", "|---|---|",
             f"| the table | {sizes['table'] / rows:.0f} |"]
    lines += [f"| `{name}` | {size / rows:.0f} |" for name, size in sizes["indexes"].items() if size / rows >= 1]
    lines += ["", "| the newest 100 scans by | ms | requests |", "|---|---|---|"]
    lines += [f"| {name} | {one['ms']:.0f} | {one['requests']} |" for name, one in found["lists"].items()]
    brin = found["brin"]
    lines += ["", f"A page by `scans_time` takes PostgreSQL {brin['scans_time']:.1f} ms, and {brin['brin']:,.0f} ms by a BRIN",
              "index in its place, which keeps no order."]
    return lines


NAMES = {
    1: "First-time valid scans over HTTP on PostgreSQL, durable",
    2: "Duplicates answered from memory",
    3: "SQLite, durable: 32 clients against 1",
    4: "A steady 500 scans/s from 50 devices",
    5: "Growth",
    6: "Memory, import",
    7: "Start on an existing database",
    8: "Core, one core",
    9: "Live scans beside 8 uploading devices and two imports",
    10: "Organizations beside each other",
    11: "Manifest of 100,000 tickets",
    12: "A clean build of the README's first command",
    13: "First-time valid scans beside a webhook that wants all scans, 32 clients",
    14: "Stored scans",
}


def write(bench, options):
    rows = {1: row_1(bench), 2: row_2(bench), 3: row_3(bench), 4: row_4(bench), 5: row_5(bench), 6: row_6(bench),
            7: row_7(bench), 8: row_8(), 9: row_9(bench), 10: row_10(bench), 11: row_11(bench), 12: row_12(bench),
            13: row_13(bench), 14: row_14(bench)}
    command = os.environ.get("VOELGOED_SCAN_BENCH_COMMAND", "scripts/bench")
    changed, asked = bench.postgres.settings()
    lines = [
        "# Performance", "",
        f"`{command}` wrote this page from one run. A figure is the median of {bench.rounds} turns of {bench.seconds} s, with",
        "the smallest and the largest in brackets; the two sides take turns. Only ratios travel to other machines.", "",
    ]
    if bench.quick:
        lines += ["**A quick run**: one short turn a side, smaller amounts. Use it for a first look only.", ""]
    lines += ["| # | target | voelgoed-scan | baseline | ratio or limit | met |", "|---|---|---|---|---|---|"]
    for number, cells in rows.items():
        lines.append(f"| {number} | {NAMES[number]} | " + " | ".join(cells) + " |")
    if bench.series:
        lines += ["", "![Rate and p99 by number of clients](performance.svg)"]
    lines += [
        "", "## Method", "",
        "The clients (`voelgoed-scan rehearse`), the server, PostgreSQL and Redis share the machine. Clients keep their",
        "connections. Latency counts from the moment at which a scan was due, so a stall is charged to every scan it delays.",
        "pgbench (`-M prepared`) runs the scripts in `benches/pgbench` on the product's own schema and the same tickets:",
        "`one.sql` writes ticket and record with every column and index, `counted.sql` also the counters, `many.sql` sets.",
        "`benches/echo` is the bare echo. Each turn of targets 1 and 2 starts new processes. Each turn of first-time scans",
        "begins after vacuum, analyze and checkpoint.", "",
        "## Machine", "",
    ]
    lines += [f"- {name}: {value}" for name, value in growth.machine().items()]
    lines += [
        f"- PostgreSQL: {bench.postgres.version()}; set otherwise than by default: {', '.join(changed) or 'nothing'}; "
        f"{', '.join(asked)}",
        "- server: `--rate-limit 0 --drain-delay 0s --log warn --webhook-allow-private`, all else by default",
        "- build: profile `dist` (thin LTO)",
    ]
    lines += storage_lines(bench)
    pieces = [(name, criterion(name)) for name in PIECES]
    if any(time for _, time in pieces):
        lines += ["", "## Pieces", "", "`cargo bench --bench scan --bench phone`, one core, medians.", "",
                  "| piece | µs |", "|---|---|"]
        lines += [f"| {name} | {time:.3f} |" for name, time in pieces if time]
    notes = Path(__file__).with_name("notes.md")
    if notes.exists():
        lines += ["", notes.read_text().rstrip()]
    return "\n".join(lines) + "\n"
