"""The programs of the async suite: one with many workloads to each system. Pinned to one CPU; Go is given one, too."""
import machine
from measure import Subject

PYTHON = "/usr/bin/python3"


def commands(bench, script, compiled):
    """{system: the start of its command}"""
    return {
        "libgather": [bench.peer(f"async/{compiled}_gather")],
        "asyncio": [PYTHON, bench.peer(f"async/{script}.py"), "asyncio"],
        "uvloop": [PYTHON, bench.peer(f"async/{script}.py"), "uvloop"],
        "Go": [bench.peer(f"async/{compiled}_go")],
        "tokio": [bench.peer("async/tasks_tokio")],
        "Node": ["node", bench.peer(f"async/{script}.js")],
        "Boost": [bench.peer("async/tasks_boost")],
        "libuv": [bench.peer("async/libuv")],
        "bare": [bench.peer("async/bare")],
    }


def alone(system, count, command):
    """A program that does all by itself."""
    return Subject(system, count, lambda scope: [*command, count], {"GOMAXPROCS": "1"}, machine.server_cpu())
