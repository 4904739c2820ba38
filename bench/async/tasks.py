"""What one turn of a task, its start and end, a timer, an item, a lock or a thread's answer costs."""
from matrix import OURS, Row
from measure import measure_alone
from report import aim
from systems import alone, commands

# How many a run: some 0.3 s of each.
_COUNTS = {
    "switch": {"libgather": 40_000_000, "Boost": 20_000_000, "ucontext": 1_000_000},
    "yield": {"libgather": 5_000_000, "asyncio": 200_000, "uvloop": 200_000, "Go": 3_000_000, "tokio": 4_000_000,
              "Node": 4_000_000, "Boost": 4_000_000, "bare": 200_000},
    "spawn": {"libgather": 2_000_000, "asyncio": 60_000, "uvloop": 60_000, "Go": 1_000_000, "tokio": 1_000_000,
              "Node": 3_000_000, "Boost": 500_000, "bare": 20_000},
    "gather": {"libgather": 2_000_000, "asyncio": 60_000, "uvloop": 60_000, "Go": 1_000_000, "tokio": 1_000_000,
               "Node": 2_000_000, "Boost": 200_000},
    "timer": {"libgather": 10_000_000, "asyncio": 200_000, "uvloop": 200_000, "Go": 1_000_000, "tokio": 2_000_000,
              "Node": 1_000_000, "Boost": 1_000_000, "libuv": 4_000_000, "bare": 200_000},
    "timeout": {"libgather": 3_000_000, "asyncio": 100_000, "uvloop": 100_000, "Go": 500_000, "tokio": 4_000_000},
    "queue": {"libgather": 2_000_000, "asyncio": 100_000, "uvloop": 100_000, "Go": 2_000_000, "tokio": 2_000_000,
              "Boost": 1_000_000},
    "lock": {"libgather": 2_000_000, "asyncio": 100_000, "uvloop": 100_000, "Go": 1_000_000, "tokio": 2_000_000,
             "Boost": 1_000_000},
    "executor": {"libgather": 30_000, "asyncio": 10_000, "uvloop": 10_000, "tokio": 30_000, "libuv": 30_000,
                 "bare": 30_000},
}
_WHAT = {
    "switch": "from one stack to another and no more; bare: `swapcontext(3)`",
    "yield": "a turn: yield to another task that is ready; bare: two pthreads",
    "spawn": "start a task and await it; bare: a pthread",
    "gather": "the same, 1,000 tasks at once, each",
    "timer": "arm and cancel a timer, 10,000 others armed; bare: `timerfd_settime(2)`",
    "timeout": "a time limit around what ends in time",
    "queue": "an item through a queue that holds one",
    "lock": "a lock handed over, 10 tasks in line",
    "executor": "to a thread of the pool and back; bare: two semaphores",
}
_AIMS = {"switch": ("a switch in ns", 10), "spawn": ("spawn and join of a task in ns", 150),
         "timer": ("arm and cancel of a timer in ns", 30)}
# Where the program or the name there is another one.
_BARE = {"yield": "pthread_switch", "spawn": "pthread_spawn", "timer": "timerfd", "executor": "handover"}


def _command(bench, workload, system):
    if system == "libgather" and workload in ("switch", "timer"):
        return [bench.peer("async/parts"), workload]
    if system == "ucontext":
        return [bench.peer("async/bare"), "ucontext"]
    return [*commands(bench, "tasks", "tasks")[system], _BARE[workload] if system == "bare" else workload]


def _row(bench, workload):
    subjects = [alone(system, bench.count(count), _command(bench, workload, system))
                for system, count in _COUNTS[workload].items() if system != OURS or not bench.peers_only]
    values = {system: figures.job_ns for system, figures in measure_alone(bench, subjects).items()}
    if "ucontext" in values:
        values["bare"] = values.pop("ucontext")
    verdicts = [aim(_AIMS[workload][0], values[OURS], _AIMS[workload][1])] if workload in _AIMS and OURS in values else []
    return Row(_WHAT[workload], "ns", values, verdicts)


def rows(bench):
    return [_row(bench, workload) for workload in _COUNTS]
