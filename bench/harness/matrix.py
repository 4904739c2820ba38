"""One table of all workloads by all systems, with how they compare to libgather."""
from dataclasses import dataclass, field

from report import number

OURS = "libgather"
_SYSTEMS = [OURS, "asyncio", "uvloop", "Go", "tokio", "Node", "Boost", "libuv", "bare"]


@dataclass
class Row:
    what: str
    unit: str
    values: dict  # system: value
    verdicts: list = field(default_factory=list)  # lines of report.aim()


def _cell(row, system):
    value, ours = row.values.get(system), row.values.get(OURS)
    if value is None:
        return "–"
    if system == OURS:
        return f"**{number(value)}**"
    if not ours:
        return number(value)
    ratio = value / ours
    return f"{number(value)} ({f'{ratio:,.0f}' if ratio >= 10 else f'{ratio:.2g}'})"


def matrix(rows):
    systems = [system for system in _SYSTEMS if any(row.values.get(system) is not None for row in rows)]
    lines = ["|  | unit | " + " | ".join(systems) + " |", "|---|---" + "|---:" * len(systems) + "|"]
    lines += ["| " + " | ".join([row.what, row.unit, *(_cell(row, system) for system in systems)]) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def verdicts(bench, rows):
    if bench.quick or bench.peers_only:
        return ""
    return "\n".join(line for row in rows for line in row.verdicts) + "\n"
