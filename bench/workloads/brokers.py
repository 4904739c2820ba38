"""The brokers that no-op jobs go through in the workloads lone and flood, each with one worker.

A placement says where the three processes run: {"client": CPU, "broker": CPU, "worker": CPU}, or {} for wherever the
kernel puts them.
"""
import machine
from measure import Subject
from scope import free_port

PREFETCH = 64  # of workers that may ask for several jobs ahead, when many are in flight


def zeromq(bench, name, jobs, window, place, pack=1):
    def prepare(scope):
        front, back = f"ipc://{scope.path('front')}", f"ipc://{scope.path('back')}"
        scope.start([bench.peer("zeromq"), "broker", front, back], place.get("broker"), says_ready=True)
        scope.start([bench.peer("zeromq"), "worker", back], place.get("worker"), says_ready=True)
        return [bench.peer("zeromq"), "client", front, jobs, window, pack]
    return Subject(name, jobs, prepare, cpu=place.get("client"))


def nats(bench, name, jobs, window, place):
    def prepare(scope):
        port = free_port()
        url = f"nats://127.0.0.1:{port}"
        scope.start(["nats-server", "-a", "127.0.0.1", "-p", str(port)], place.get("broker"), accepts_on=port)
        scope.start([bench.peer("nats"), "worker", url, "lone" if window == 1 else "flood"], place.get("worker"),
                    says_ready=True)
        return [bench.peer("nats"), "client", url, jobs, window]
    return Subject(name, jobs, prepare, cpu=place.get("client"))


def _lists(bench, program, name, jobs, window, place, server):
    """redis and beanstalkd: `server(scope)` starts it and returns where it listens."""
    def prepare(scope):
        where = str(server(scope))
        scope.start([bench.peer(program), "worker", where, "1" if window == 1 else str(PREFETCH)],
                    place.get("worker"), says_ready=True)
        return [bench.peer(program), "client", where, jobs, window]
    return Subject(name, jobs, prepare, cpu=place.get("client"))


def redis(bench, name, jobs, window, place):
    def server(scope):
        port = free_port()
        scope.start(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                     "--dir", scope.directory], place.get("broker"), accepts_on=port)
        return port
    return _lists(bench, "redis", name, jobs, window, place, server)


def beanstalkd(bench, name, jobs, window, place):
    def server(scope):
        port = free_port()
        scope.start(["beanstalkd", "-l", "127.0.0.1", "-p", str(port)], place.get("broker"), accepts_on=port)
        return port
    return _lists(bench, "beanstalkd", name, jobs, window, place, server)


def gearman(bench, name, jobs, window, place):
    def prepare(scope):
        port = free_port()
        scope.start(["gearmand", "-L", "127.0.0.1", "-p", str(port), "-l", scope.path("gearmand.log")],
                    place.get("broker"), accepts_on=port)
        scope.start([bench.peer("gearman"), "worker", str(port)], place.get("worker"), says_ready=True)
        return [bench.peer("gearman"), "client", port, jobs, window]
    return Subject(name, jobs, prepare, cpu=place.get("client"))


def gatherd(bench, client, name, jobs, window, place, args="{}", store=False, options=None):
    """By the client program `records` or `lines`; `store`: the daemon keeps its jobs on disk."""
    def prepare(scope):
        socket = scope.gatherd(workers=1, store=store)
        for role in ("broker", "worker") if place else ():
            for pid in scope.roles(role):
                machine.pin(pid, place[role])
        return [bench.peer(client), socket, "noop", args, jobs, window, *([options] if options else [])]
    return Subject(name, jobs, prepare, cpu=place.get("client"))
