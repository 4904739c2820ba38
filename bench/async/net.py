"""An echo server with 1,000 connections, and connections made and closed."""
import machine
from matrix import OURS, Row
from measure import Subject, measure_alone
from report import aim
from scope import free_port
from systems import commands

CONNECTIONS = 1000
BYTES = 512
AT_ONCE = 100
_STREAMS = {"asyncio": "asyncio, streams", "uvloop": "uvloop, streams"}


def _servers(bench):
    """{name: (command up to the port, messages a run)}"""
    start = commands(bench, "echo", "net")
    servers = {system: (start[system] + ["echo"], count)
               for system, count in {OURS: 250_000, "Go": 250_000, "tokio": 250_000, "libuv": 250_000}.items()}
    servers["bare"] = ([bench.peer("async/epoll"), "echo"], 250_000)
    servers["Node"] = (["node", bench.peer("async/net.js"), "echo"], 100_000)
    for system, streams in _STREAMS.items():
        servers[system] = (start[system] + ["protocol"], 100_000)
        servers[streams] = (start[system] + ["streams"], 50_000)
    if bench.peers_only:
        del servers[OURS]
    return servers


def _echo_subject(bench, name, command, count):
    def prepare(scope):
        port = free_port()
        scope.start([*command, str(port)], cpu=machine.server_cpu(), accepts_on=port,
                    env={"PATH": "/usr/bin:/bin", "GOMAXPROCS": "1"})
        return [bench.peer("async/load"), port, CONNECTIONS, BYTES, count]

    return Subject(name, count, prepare, cpu=machine.client_cpu())


def _echo(bench):
    figures = measure_alone(bench, [_echo_subject(bench, name, command, bench.count(count))
                                    for name, (command, count) in _servers(bench).items()])
    rows = []
    for what, unit, value in [
        (f"echo, {CONNECTIONS:,} connections, {BYTES} B, one thread; Python: protocols; bare: epoll", "/s",
         lambda f: f.rate),
        ("the same", "us of the server's CPU", lambda f: f.system_cpu_us),
    ]:
        row = Row(what, unit, {name: value(f) for name, f in figures.items() if name not in _STREAMS.values()})
        streams = {system: value(figures[name]) for system, name in _STREAMS.items()}
        if OURS in figures:
            streams[OURS] = row.values[OURS]
        rows += [row, Row("the same; Python: streams", unit, streams)]
    if OURS in figures:
        rates = rows[0].values
        rows[0].verdicts += [
            aim("echoes/s, against twice uvloop's", rates[OURS], 2 * rates["uvloop"], at_least=True),
            aim("echoes/s, against Go's", rates[OURS], rates["Go"], at_least=True)]
    return rows


def _connect_subject(bench, system, count, command):
    def prepare(scope):
        port = free_port()
        scope.start([bench.peer("async/epoll"), "echo", str(port)], cpu=machine.server_cpu(), accepts_on=port)
        return [*command, port, count, AT_ONCE]

    return Subject(system, count, prepare, {"GOMAXPROCS": "1"}, machine.client_cpu())


def _connect(bench):
    start = commands(bench, "connect", "net")
    subjects = {
        OURS: (start[OURS] + ["connect"], 10_000),
        "asyncio": (start["asyncio"], 4_000),
        "uvloop": (start["uvloop"], 4_000),
        "Go": (start["Go"] + ["connect"], 10_000),
        "Node": (["node", bench.peer("async/net.js"), "connect"], 5_000),
        "bare": ([bench.peer("async/epoll"), "connect"], 10_000),
    }
    figures = measure_alone(bench, [_connect_subject(bench, system, bench.count(count), command)
                                    for system, (command, count) in subjects.items()
                                    if system != OURS or not bench.peers_only])
    return [Row(f"TCP connections made and closed, {AT_ONCE} at once; bare: epoll", "/s",
                {system: f.rate for system, f in figures.items()})]


def rows(bench):
    return [*_echo(bench), *_connect(bench)]
