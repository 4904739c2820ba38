"""Tables in Markdown, and the verdicts on the aims."""


def number(value, digits=3):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


# What a column shows of a subject's figures.
COLUMNS = {
    "jobs/s": lambda f: number(f.rate),
    "fetches/s": lambda f: number(f.wall_rate),
    "wall s": lambda f: f"{f.wall_s:.3f}",
    "elapsed s": lambda f: f"{f.elapsed_s or f.wall_s:.3f}",
    "CPU us a job": lambda f: number(f.cpu_us),
    "p50 us": lambda f: number(f.p50_us, 4),
    "p99 us": lambda f: number(f.p99_us, 4),
    "p50 ms": lambda f: number(f.p50_us and f.p50_us / 1000),
    "p99 ms": lambda f: number(f.p99_us and f.p99_us / 1000),
    "PSS MiB": lambda f: number(f.pss_mib),
    "RSS MiB": lambda f: number(f.rss_mib),
}


def table(title, figures, columns, ratio_of=None, mark=None):
    """`ratio_of` is (heading, function of Figures): shown relative to the subject `mark`."""
    head = ["", *columns] + ([f"{ratio_of[0]}, ratio to {mark}"] if mark else [])
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for name, f in figures.items():
        cells = [f"**{name}**" if name.startswith("gatherd") else name, *(COLUMNS[column](f) for column in columns)]
        if mark:
            cells.append(f"{ratio_of[1](f) / ratio_of[1](figures[mark]):.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def verdicts(bench, *aims):
    """What stands below a table; a quick run is too short to judge by."""
    return "" if bench.quick else "\n" + "\n".join(aims) + "\n"


def aim(text, value, limit, at_least=False):
    met = value >= limit if at_least else value <= limit
    return f"- {text}: {'at least' if at_least else 'at most'} {number(limit)}; " \
           f"measured {number(value)}: {'met' if met else '**missed**'}"
