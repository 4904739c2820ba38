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
    system_cpu_us: float = None  # of that without the client, a job
    pss_mib: float = None
    rss_mib: float = None
    peak_mb: float = None

    @property
    def job_ns(self):
        return 1e9 / self.rate

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
        self.peaks = {}
        self._end = threading.Event()

    def run(self):
        while not self._end.wait(_SAMPLE_SECONDS):
            for name, value in self.sample().items():
                self.peaks[name] = max(self.peaks.get(name, 0), value)

    def sample(self):
        pss, rss = machine.memory_kib(machine.family(self.roots))
        return {"pss_mib": pss / 1024, "rss_mib": rss / 1024}

    def stop(self):
        self._end.set()
        self.join()


class _ClientSampler(_Sampler):
    """The peak of one process, as the kernel keeps it, and its page tables: cheap, whatever its size."""

    def sample(self):
        if machine.command_name(self.roots[0]) == machine.command_name(os.getpid()):
            return {}  # it is still us
        return {"peak_mb": machine.peak_kib(self.roots[0]) * 1024 / 1e6}


def _run(bench, subject, sampler_class):
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
            sampler = sampler_class and sampler_class([client.pid, *scope.system])
            if sampler:
                sampler.start()
            _, status, usage = os.wait4(client.pid, 0)
            wall = time.monotonic() - start
            client.returncode = os.waitstatus_to_exitcode(status)
            system_cpu = machine.cpu_seconds(system) - before
            cpu = usage.ru_utime + usage.ru_stime + system_cpu
            watchdog.cancel()
            if sampler:
                sampler.stop()
            out.seek(0)
            err.seek(0)
            if client.returncode:
                raise RuntimeError(f"{subject.name}: {command} ended with {client.returncode}: "
                                   f"{err.read()[-1000:].decode(errors='replace')} {scope.log()}")
            said = (subject.figures or _last_json)(out.read().decode(errors="replace"),
                                                   err.read().decode(errors="replace"))
        return {"wall_s": wall, "cpu_us": cpu / subject.jobs * 1e6, "system_cpu_us": system_cpu / subject.jobs * 1e6,
                **(sampler.peaks if sampler else {}), **said}


def _last_json(out, _):
    lines = out.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    said = json.loads(lines[-1])
    said.pop("jobs")
    return said


def measure(bench, subjects):
    """{name: Figures} of all subjects, `bench.runs` runs each, taking turns, and one more for the memory."""
    figures = _take_turns(bench, subjects, bench.runs, None)
    for name, memory in _take_turns(bench, subjects, 1, _Sampler, "memory").items():
        figures[name].pss_mib, figures[name].rss_mib = memory.pss_mib, memory.rss_mib
    return figures


def measure_alone(bench, subjects, peak=False, runs=None):
    """The same of programs that do all by themselves, for times, and if wanted for the peak of each one's memory."""
    return _take_turns(bench, subjects, runs or bench.runs, _ClientSampler if peak else None)


def _take_turns(bench, subjects, count, sampler_class, what="run"):
    runs = {subject.name: [] for subject in subjects}
    for turn in range(count):
        for subject in subjects:
            print(f"  {subject.name}, {what} {turn + 1}", file=sys.stderr, flush=True)
            runs[subject.name].append(_run(bench, subject, sampler_class))
    return {subject.name: _median(subject, runs[subject.name]) for subject in subjects}


def _median(subject, runs):
    figures = Figures(subject.jobs)
    for name in runs[0]:
        setattr(figures, name, statistics.median(run[name] for run in runs))
    return figures
