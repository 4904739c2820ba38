"""Jobs that survive a loss of power: accepted only when they are on the disk. Every server syncs before it answers.

The disk is the one that the build stands on. `fsync` is what it costs there, so the figures compare within one run only.
"""
import brokers
import durable_servers as servers
from measure import Subject, measure
from report import aim, table, verdicts

WINDOW = 1000
PRODUCERS = 256
OPTIONS = '{"durability":"fsync"}'
LATER = '{"durability":"fsync","delay":"1h"}'
OURS = "gatherd, client.h"
MARK = "PostgreSQL"


def through(bench):
    """Accepted, run by a worker, finished: all of it durable."""
    jobs = bench.count(200000)
    own = [] if bench.peers_only else [
        brokers.gatherd(bench, "records", OURS, jobs, WINDOW, {}, store=True, options=OPTIONS)]

    def peer(program, name, count, server):
        def prepare(scope):
            where = str(server(scope))
            prefetch = [str(brokers.PREFETCH)] if program in ("redis", "beanstalkd") else []
            scope.start([bench.peer(program), "worker", where, *prefetch], says_ready=True)
            return [bench.peer(program), "client", where, bench.count(count), WINDOW]
        return Subject(name, bench.count(count), prepare)

    return own + [
        peer("postgres", MARK, 50000, servers.postgres),
        peer("rabbitmq", "RabbitMQ, persistent", 50000, servers.rabbitmq),
        peer("redis", "Redis, appendfsync always", 100000, servers.redis),
        peer("beanstalkd", "beanstalkd -f0", 30000, servers.beanstalkd),
    ]


def accepted(bench, producers):
    """Until the server says that the job is safe. Nobody takes it, but where gatherd runs it meanwhile."""
    def subject(name, count, command):
        jobs = bench.count(count if producers > 1 else 5000)
        return Subject(name, jobs, lambda scope: [*command(scope), str(jobs), str(producers)])

    def text(protocol, server):
        return lambda scope: [bench.peer("producers"), protocol, str(server(scope))]

    def records(options):
        return lambda scope: [bench.peer("producers_records"), scope.gatherd(workers=1, store=True), options]

    own = [] if bench.peers_only else [
        subject(OURS, 400000, records(LATER)),
        subject(f"{OURS}, run meanwhile", 400000, records(OPTIONS)),
        subject("gatherd, JSON lines, run meanwhile", 400000,
                text("lines", lambda scope: scope.gatherd(workers=1, store=True))),
    ]
    return own + [
        subject(MARK, 60000, lambda scope: [bench.peer("postgres"), "producers", servers.postgres(scope)]),
        subject("RabbitMQ, confirms, one connection", 60000,
                lambda scope: [bench.peer("rabbitmq"), "producer", str(servers.rabbitmq(scope))]),
        subject("Redis, appendfsync always", 200000, text("redis", servers.redis)),
        subject("beanstalkd -f0", 30000, text("beanstalkd", servers.beanstalkd)),
    ]


def report(bench):
    columns = ["jobs/s", "CPU us a job", "p50 us", "p99 us", "PSS MiB"]
    ratio = ("rate", lambda f: f.rate)
    text = []
    figures = measure(bench, through(bench))
    text.append(table(f"durable: through a worker to the end, {WINDOW:,} in flight", figures, columns, ratio, MARK))
    if OURS in figures:
        text[-1] += verdicts(bench, aim("jobs/s", figures[OURS].rate, 50000, at_least=True))
    figures = measure(bench, accepted(bench, 1))
    text.append(table("durable: accepted, one producer", figures, columns, ratio, MARK))
    if OURS in figures:
        text[-1] += verdicts(bench, aim("p50 in us", figures[OURS].p50_us, 500))
    figures = measure(bench, accepted(bench, PRODUCERS))
    text.append(table(f"durable: accepted, {PRODUCERS} producers, each with one job at a time", figures, columns,
                      ratio, MARK))
    if OURS in figures:
        text[-1] += verdicts(bench, aim("accepted/s", figures[OURS].rate, 100000, at_least=True))
    return "\n".join(text)
