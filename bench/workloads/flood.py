"""No-op jobs with 1,000 in flight, one worker: how many go through. Placed by the kernel."""
import brokers
from measure import measure
from report import aim, table, verdicts

WINDOW = 1000
MARK = "NATS request-reply"
ECHO = '{"echo":"' + "x" * 62 + '"}'  # what the others' jobs carry, as JSON text
RECORDS, LINES = "gatherd, client.h", "gatherd, JSON lines"


def subjects(bench):
    def no_ops(kind, name, jobs, window=WINDOW, **options):
        return kind(bench, name=name, jobs=bench.count(jobs), window=window, place={}, **options)

    own = [] if bench.peers_only else [
        no_ops(brokers.gatherd, RECORDS, 1000000, client="records"),
        no_ops(brokers.gatherd, f"{RECORDS}, echoing 64 bytes", 1000000, client="records", args=ECHO),
        no_ops(brokers.gatherd, LINES, 300000, client="lines"),
    ]
    return own + [
        no_ops(brokers.zeromq, "ZeroMQ, one a message", 1000000),
        no_ops(brokers.zeromq, "ZeroMQ, 64 a message", 6400000, 1024, pack=64),
        no_ops(brokers.nats, MARK, 1000000),
        no_ops(brokers.redis, "Redis lists", 300000),
        no_ops(brokers.beanstalkd, "beanstalkd", 50000),
        no_ops(brokers.gearman, "gearmand", 50000),
    ]


def report(bench):
    figures = measure(bench, subjects(bench))
    text = table(f"flood: no-ops, {WINDOW:,} in flight, one worker", figures,
                 ["jobs/s", "CPU us a job", "p50 us", "p99 us", "PSS MiB", "RSS MiB"], ("rate", lambda f: f.rate), MARK)
    if RECORDS in figures:
        text += verdicts(
            bench,
            aim("jobs/s by client.h, against NATS", figures[RECORDS].rate, figures[MARK].rate, at_least=True),
            aim("jobs/s by JSON lines", figures[LINES].rate, 100000, at_least=True))
    return text
