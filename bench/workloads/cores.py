"""Hash jobs that compute, one worker against two: whether a second core doubles the work."""
from measure import Subject, measure
from report import aim, table, verdicts

WINDOW = 64
ARGS = '{"rounds":20000}'  # some 2 ms
ONE, TWO = "gatherd, one worker", "gatherd, two workers"


def report(bench):
    count = bench.count(2000)
    if bench.peers_only:
        return "cores: has no peers.\n"

    def hashes(workers):
        return lambda scope: [bench.peer("records"), scope.gatherd(workers=workers), "hash", ARGS, count, WINDOW]

    figures = measure(bench, [Subject(ONE, count, hashes(1)), Subject(TWO, count, hashes(2))])
    text = table(f"cores: {count:,} hash jobs, {WINDOW} in flight", figures, ["jobs/s", "CPU us a job", "PSS MiB"],
                 ("rate", lambda f: f.rate), ONE)
    ratio = figures[TWO].rate / figures[ONE].rate
    return text + verdicts(bench, aim("rate of two workers, relative to one", ratio, 1.8, at_least=True))
