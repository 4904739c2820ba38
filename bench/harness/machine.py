"""The machine as the benchmark sees it: CPUs, and what processes have used of them and of memory."""
import os
import time
from pathlib import Path


def cpus():
    """The CPUs that we may use, ascending."""
    return sorted(os.sched_getaffinity(0))


def client_cpu():
    return cpus()[0]


def server_cpu():
    """Another one than the client's where there are two."""
    return cpus()[-1]


def _stat(pid):
    """The fields of /proc/PID/stat from the third on, or None: the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def family(roots):
    """Those processes and all their descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(entry)):
            children.setdefault(int(stat[1]), []).append(int(entry))
    found, todo = [], list(roots)
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(pids):
    """CPU time that the living threads of those processes have used: to the nanosecond, unlike /proc/PID/stat's ticks."""
    total = 0
    for pid in pids:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                total += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
        except OSError:
            pass  # it has ended
    return total / 1e9


def memory_kib(pids):
    """(PSS, RSS) in all: PSS counts a page that several processes share once."""
    pss = rss = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("Pss:"):
                pss += int(line.split()[1])
            elif line.startswith("Rss:"):
                rss += int(line.split()[1])
    return pss, rss


def peak_kib(pid):
    """The most memory that the process has had resident since its start, and its page tables now."""
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return sum(int(status[name].split()[0]) for name in ("VmHWM", "VmPTE"))
    except (OSError, KeyError):
        return 0  # it is ending


def command_name(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ").strip()
    except OSError:
        return ""


def pin(pid, cpu):
    """Move all threads of a process to one CPU."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {cpu})


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave up waiting for {what}")
        time.sleep(0.005)


def describe():
    """One line about the machine, to stand beside the figures."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), os.uname().machine)
    load = os.getloadavg()[0]
    return f"{model}, {len(cpus())} CPUs, Linux {os.uname().release}, load before {load:.2f}"
