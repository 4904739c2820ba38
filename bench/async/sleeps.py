"""Sleeps of one second, 10,000 to a million at once: what waiting weighs, and what it costs."""
from matrix import OURS, Row
from measure import Subject, measure_alone
from report import aim
from systems import PYTHON


def _subjects(bench, count, form, systems):
    commands = {
        OURS: [bench.peer("async/sleeps_gather"), form],
        "asyncio": [PYTHON, bench.peer("sleeps.py")],
        "Go": [bench.peer("sleeps_go")],
        "tokio": [bench.peer("async/tasks_tokio"), "sleeps"],
        "Node": ["node", bench.peer("sleeps.js")],
        "Boost": [bench.peer("async/tasks_boost"), "sleeps"],
        "libuv": [bench.peer("async/libuv"), "sleeps"],
        "bare": [bench.peer("async/bare"), "pthread_sleeps"],
    }
    # Go as it comes, with all CPUs: for what weighs, not for what is fast.
    return [Subject(system, count, lambda scope, system=system: [*commands[system], count]) for system in systems
            if system != OURS or not bench.peers_only]


def _peaks(figures):
    return {system: f.peak_mb for system, f in figures.items()}


def _parked(bench):
    count = bench.count(10_000)
    figures = measure_alone(bench, _subjects(bench, count, "task", [OURS, "asyncio", "Go", "tokio", "Node", "Boost", "bare"]),
                            peak=True, runs=1)
    row = Row(f"{count:,} tasks asleep, each with its stack where there are such; bare: pthreads", "MB", _peaks(figures))
    if OURS in figures:
        one = measure_alone(bench, _subjects(bench, 1, "task", [OURS]), peak=True, runs=1)[OURS]
        row.verdicts.append(aim(f"what {count:,} parked tasks add to one, in MB", figures[OURS].peak_mb - one.peak_mb, 45))
    return [row]


def _sleeps(bench, count, runs, aims):
    """`aims`: MB, seconds of CPU, seconds in all; None: none."""
    count = bench.count(count)
    figures = measure_alone(bench, _subjects(bench, count, "future", [OURS, "asyncio", "Go", "tokio", "Node", "libuv"]),
                            peak=True, runs=runs)
    what = f"{count:,} sleeps of 1 s; libgather: stackless futures"
    rows = [Row(what, "MB", _peaks(figures)),
            Row("the same", "s of CPU", {system: f.cpu_us * count / 1e6 for system, f in figures.items()}),
            Row("the same", "s in all", {system: f.elapsed_s for system, f in figures.items()})]
    for row, limit in zip(rows, aims):
        if limit and OURS in figures:
            row.verdicts.append(aim(f"{count:,} sleeps, {row.unit}", row.values[OURS], limit))
    return rows


def rows(bench):
    mib = 1024 * 1024 / 1e6
    return [*_parked(bench),
            *_sleeps(bench, 100_000, bench.runs, (30 * mib, 0.05, None)),
            *_sleeps(bench, 1_000_000, 1, (150, None, 3))]
