"""One no-op job at a time: what the way there and back takes. Twice: with the placement fixed, and left to the kernel."""
import brokers
import machine
from measure import measure
from report import aim, table, verdicts

MARK = "ZeroMQ, bare echo"
BEANSTALKD = "beanstalkd"
OURS = "gatherd, client.h"


def subjects(bench, place):
    count = bench.count(20000)
    own = [] if bench.peers_only else [brokers.gatherd(bench, "records", OURS, count, 1, place)]
    return own + [
        brokers.zeromq(bench, MARK, count, 1, place),
        brokers.beanstalkd(bench, BEANSTALKD, count, 1, place),
        brokers.redis(bench, "Redis lists", count, 1, place),
        brokers.nats(bench, "NATS request-reply", count, 1, place),
        brokers.gearman(bench, "gearmand", count, 1, place),
    ]


def report(bench):
    client, server = machine.client_cpu(), machine.server_cpu()
    text = []
    for title, place in [
        (f"client and worker on CPU {client}, broker on CPU {server}",
         {"client": client, "worker": client, "broker": server}),
        ("placed by the kernel", {}),
    ]:
        figures = measure(bench, subjects(bench, place))
        text.append(table(f"lone: one no-op at a time, {title}", figures,
                          ["p50 us", "p99 us", "CPU us a job", "PSS MiB", "RSS MiB"], ("p50", lambda f: f.p50_us),
                          MARK))
        if OURS in figures:
            ours = figures[OURS].p50_us
            text[-1] += verdicts(
                bench,
                aim("p50, relative to a bare ZeroMQ echo", ours / figures[MARK].p50_us, 1.15),
                aim("p50 in us, against beanstalkd's", ours, figures[BEANSTALKD].p50_us))
    return "\n".join(text)
