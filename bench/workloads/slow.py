"""2,000 URLs that take 100 ms each, all at once: whether waiting is free. Placement as in fetch."""
import fetch
import machine
from measure import measure
from report import aim, table, verdicts

MARK = "Go net/http"


def report(bench):
    cpu, count = machine.client_cpu(), bench.count(2000)
    peers = fetch.clients(bench, "/slow", count, count, cpu)
    del peers["curl"]  # its --parallel-max ends at 300
    own = [] if bench.peers_only else fetch.gatherd(bench, "/slow", count, count, cpu)
    figures = measure(bench, own + list(peers.values()))
    text = table(f"slow: {count:,} URLs of 100 ms, all at once", figures,
                 ["wall s", "CPU us a job", "p50 ms", "p99 ms", "PSS MiB", "RSS MiB"], ("wall", lambda f: f.wall_s), MARK)
    if own:
        text += verdicts(bench, aim("wall time in s, against Go's", figures[own[0].name].wall_s, figures[MARK].wall_s))
    return text
