"""Run the subjects of a workload turn by turn and take medians.

A subject is a system that does the workload's jobs: a client, and what the client needs of servers and workers. All
figures are of the whole system; the peer's server and worker count like gatherd's broker and workers.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

import machine
from scope import Scope

_SAMPLE_SECONDS = 0.01
_LONGEST_RUN_SECONDS = 300


@dataclass
class Subject:
    name: str
    jobs: int
    prepare: Callable  # prepare(scope) starts what is needed and returns the client's command
    environment: dict = field(default_factory=dict)
    cpu: int = None  # the client's
    figures: Callable = None  # figures(stdout, stderr) of a client that doesn't end with a line of JSON


@dataclass
class Figures:
    """Medians over the runs. Those that the client didn't print are None."""
    jobs: int
    wall_s: float = None  # of the client's command, from start to exit
    elapsed_s: float = None  # as the client says, without its start
    cpu_us: float = None  # whole system, a job
    p50_us: float = None
    p99_us: float = None
    pss_mib: float = None
    rss_mib: float = None

    @property
    def rate(self):
        """Jobs a second, by the client's own clock where it has one."""
        return self.jobs / (self.elapsed_s or self.wall_s)

    @property
    def wall_rate(self):
        return self.jobs / self.wall_s


class _Sampler(threading.Thread):
    """Peaks of the system's memory. It takes CPU time of its own, so runs that are timed have none."""

    def __init__(self, roots):
        super().__init__(daemon=True)
        self.roots = roots
        self.pss = self.rss = 0
        self._end = threading.Event()

    def run(self):
        while not self._end.wait(_SAMPLE_SECONDS):
            pss, rss = machine.memory_kib(machine.family(self.roots))
            self.pss = max(self.pss, pss)
            self.rss = max(self.rss, rss)

    def stop(self):
        self._end.set()
        self.join()


def _run(bench, subject, with_memory):
    with Scope(bench) as scope:
        command = [str(word) for word in subject.prepare(scope)]
        if subject.cpu is not None:
            command = ["taskset", "-c", str(subject.cpu), *command]
        with tempfile.TemporaryFile(dir=scope.directory) as out, tempfile.TemporaryFile(dir=scope.directory) as err:
            system = machine.family(scope.system)
            before, start = machine.cpu_seconds(system), time.monotonic()
            client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                      env={**os.environ, **subject.environment})
            watchdog = threading.Timer(_LONGEST_RUN_SECONDS, client.kill)
            watchdog.start()
            sampler = _Sampler([client.pid, *scope.system])
            if with_memory:
                sampler.start()
            _, status, usage = os.wait4(client.pid, 0)
            wall = time.monotonic() - start
            client.returncode = os.waitstatus_to_exitcode(status)
            cpu = usage.ru_utime + usage.ru_stime + machine.cpu_seconds(system) - before
            watchdog.cancel()
            if with_memory:
                sampler.stop()
            out.seek(0)
            err.seek(0)
            if client.returncode:
                raise RuntimeError(f"{subject.name}: {command} ended with {client.returncode}: "
                                   f"{err.read()[-1000:].decode(errors='replace')} {scope.log()}")
            said = (subject.figures or _last_json)(out.read().decode(errors="replace"),
                                                   err.read().decode(errors="replace"))
        return {"wall_s": wall, "cpu_us": cpu / subject.jobs * 1e6, "pss_mib": sampler.pss / 1024,
                "rss_mib": sampler.rss / 1024, **said}


def _last_json(out, _):
    lines = out.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    said = json.loads(lines[-1])
    said.pop("jobs")
    return said


def measure(bench, subjects):
    """{name: Figures} of all subjects, `bench.runs` runs each, taking turns, and one more for the memory."""
    runs = {subject.name: [] for subject in subjects}
    memory = {}
    for turn in range(bench.runs + 1):
        for subject in subjects:
            print(f"  {subject.name}, {'memory' if turn == bench.runs else f'run {turn + 1}'}",
                  file=sys.stderr, flush=True)
            if turn == bench.runs:
                memory[subject.name] = _run(bench, subject, True)
            else:
                runs[subject.name].append(_run(bench, subject, False))
    return {subject.name: _median(subject, runs[subject.name], memory[subject.name]) for subject in subjects}


def _median(subject, runs, memory):
    figures = Figures(subject.jobs, pss_mib=memory["pss_mib"], rss_mib=memory["rss_mib"])
    for name in ("wall_s", "elapsed_s", "cpu_us", "p50_us", "p99_us"):
        if name in runs[0]:
            setattr(figures, name, statistics.median(run[name] for run in runs))
    return figures
