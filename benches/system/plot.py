"""Draws rate and p99 by number of clients as SVG."""

WIDTH, HEIGHT, LEFT, TOP, GAP = 920, 380, 62, 46, 96
COLOURS = {"server": "#0a7d4f", "pgbench": "#8a5a00"}
NAMES = {"server": "voelgoed-scan over HTTP", "pgbench": "pgbench, one statement a scan"}


def round_up(highest):
    """Returns the next round number above."""
    step = 10 ** (len(str(int(highest))) - 1)
    return next(step * n / 2 for n in range(1, 41) if step * n / 2 >= highest)


def panel(series, what, title, unit, x, width):
    clients = sorted(series)
    height = HEIGHT - TOP - 60
    top = round_up(max(side[what] for row in series.values() for side in row.values()))
    place = {count: x + width * n / max(1, len(clients) - 1) for n, count in enumerate(clients)}
    level = lambda value: TOP + height * (1 - value / top)
    out = [f'<text x="{x}" y="{TOP - 18}" class="title">{title}</text>']
    for n in range(5):
        value = top * n / 4
        out.append(f'<line x1="{x}" x2="{x + width}" y1="{level(value):.1f}" y2="{level(value):.1f}" class="grid"/>')
        out.append(f'<text x="{x - 8}" y="{level(value) + 4:.1f}" class="end">{value:,.0f}{unit}</text>')
    for count in clients:
        out.append(f'<text x="{place[count]:.1f}" y="{TOP + height + 20}" class="mid">{count}</text>')
    out.append(f'<text x="{x + width / 2}" y="{TOP + height + 40}" class="mid">clients</text>')
    for side, colour in COLOURS.items():
        points = " ".join(f"{place[count]:.1f},{level(series[count][side][what]):.1f}" for count in clients)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        out += [f'<circle cx="{point.split(",")[0]}" cy="{point.split(",")[1]}" r="3.5" fill="{colour}"/>'
                for point in points.split()]
    return out


def draw(series):
    width = (WIDTH - LEFT - GAP - 24) / 2
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Scans a second and 99th percentile of latency by number of clients">',
        "<style>text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:14px}.end{text-anchor:end}"
        ".mid{text-anchor:middle}.grid{stroke:#ddd}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    out += panel(series, "rate", "First-time valid scans a second", "", LEFT, width)
    out += panel(series, "p99", "99th percentile of latency, ms", "", LEFT + width + GAP, width)
    for n, (side, colour) in enumerate(COLOURS.items()):
        x = LEFT + n * 240
        out.append(f'<rect x="{x}" y="{HEIGHT - 16}" width="14" height="4" fill="{colour}"/>')
        out.append(f'<text x="{x + 20}" y="{HEIGHT - 10}">{NAMES[side]}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
