"""20,000 URLs of 1 KiB, 100 at once: what a fetch costs. nginx on one CPU, everything that is measured on the other."""
import re

import machine
from measure import Subject, measure
from report import aim, table, verdicts

AT_ONCE = 100
MARK = "libcurl + libevent, bare"
_US = {"us": 1, "ms": 1e3, "s": 1e6}


def _times(out, _):
    """Seconds, one line a fetch."""
    us = sorted(float(line) * 1e6 for line in out.splitlines())
    return {"p50_us": us[len(us) // 2], "p99_us": us[len(us) * 99 // 100]}


def _summary(_, err):
    """The end of what `gather fetch` says: "p50 3.21 ms  p99 8.4 ms"."""
    return {f"{name}_us": float(value) * _US[unit]
            for name, value, unit in re.findall(r"(p50|p99) ([\d.]+) (us|ms|s)\b", err)}


def clients(bench, path, count, at_once, pinned_cpu):
    """The HTTP clients that people would write, fetching `path` of a local nginx."""
    def program(*command):
        return lambda scope: [*command, scope.nginx() + path, count, at_once]

    def curl(scope):
        return ["curl", "--silent", "--fail", "--parallel", "--parallel-immediate", "--parallel-max", at_once,
                "--output", "/dev/null", "--write-out", "%{time_total}\n", f"{scope.nginx()}{path}?i=[1-{count}]"]

    undici = {"NODE_PATH": str(bench.build / "node/node_modules")}
    return {
        "libcurl": Subject(MARK, count, program(bench.peer("curl_event")), cpu=pinned_cpu),
        "go": Subject("Go net/http", count, program(bench.peer("fetch_go")), {"GOMAXPROCS": "1"}, pinned_cpu),
        "curl": Subject("curl --parallel", count, curl, cpu=pinned_cpu, figures=_times),
        "undici": Subject("Node undici", count, program("node", bench.peer("fetch.js")), undici, pinned_cpu),
        "uvloop": Subject("uvloop + aiohttp", count, program("/usr/bin/python3", bench.peer("fetch.py"), "uvloop"),
                          cpu=pinned_cpu),
        "aiohttp": Subject("asyncio + aiohttp", count, program("/usr/bin/python3", bench.peer("fetch.py"), "asyncio"),
                           cpu=pinned_cpu),
    }


def gatherd(bench, path, count, at_once, cpu):
    """`gather fetch` through a running daemon: confined to one CPU as the others are, and as it is by default."""
    def fetch(scope, **placement):
        url = scope.nginx()
        socket = scope.gatherd(**placement)
        return ["env", f"GATHER_SOCKET={socket}", bench.binary("gather"), "fetch", "-o", "none", "-j", at_once,
                f"{url}{path}?i=[1-{count}]"]

    return [Subject("gatherd, on one CPU", count, lambda scope: fetch(scope, workers=1, cpu=cpu), cpu=cpu,
                    figures=_summary),
            Subject("gatherd, as it comes", count, fetch, figures=_summary)]


def report(bench):
    cpu, count = machine.client_cpu(), bench.count(20000)
    peers = clients(bench, "/f", count, AT_ONCE, cpu)
    own = [] if bench.peers_only else gatherd(bench, "/f", count, AT_ONCE, cpu)
    figures = measure(bench, own + list(peers.values()))
    text = table(f"fetch: {count:,} URLs of 1 KiB, {AT_ONCE} at once", figures,
                 ["fetches/s", "CPU us a job", "p50 ms", "p99 ms", "PSS MiB", "RSS MiB"], ("CPU", lambda f: f.cpu_us), MARK)
    if own:
        ours = figures[own[0].name].cpu_us
        text += verdicts(
            bench,
            aim("CPU a fetch, relative to bare libcurl + libevent", ours / figures[MARK].cpu_us, 1.3),
            aim("CPU a fetch in us, against Go's", ours, figures[peers["go"].name].cpu_us),
            aim("times cheaper than aiohttp", figures[peers["aiohttp"].name].cpu_us / ours, 8, at_least=True))
    return text
