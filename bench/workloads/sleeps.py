"""100,000 sleeps of one second, all at once: what a job that only waits weighs."""
from measure import Subject, measure
from report import aim, table, verdicts

MARK = "Node"
OURS = "gatherd, client.h"


def gatherd(bench, count):
    def records(scope):
        return [bench.peer("records"), scope.gatherd(), "sleep", '{"seconds":1}', count, count]

    def command_line(scope):
        socket = scope.gatherd()
        with open(scope.path("list"), "w") as file:
            file.writelines(f"{i}\n" for i in range(count))
        gather = f"{bench.binary('gather')} map -o none -j {count} sleep seconds=1 <{scope.path('list')}"
        return ["env", f"GATHER_SOCKET={socket}", "sh", "-c", f"exec {gather}"]

    return [Subject(OURS, count, records), Subject("gatherd, gather map", count, command_line)]


def report(bench):
    count = bench.count(100000)
    figures = measure(bench, ([] if bench.peers_only else gatherd(bench, count)) + [
        Subject(MARK, count, lambda scope: ["node", bench.peer("sleeps.js"), count]),
        Subject("asyncio", count, lambda scope: ["/usr/bin/python3", bench.peer("sleeps.py"), count]),
        Subject("Go", count, lambda scope: [bench.peer("sleeps_go"), count]),
    ])
    text = table(f"sleeps: {count:,} sleeps of 1 s at once", figures,
                 ["wall s", "CPU us a job", "PSS MiB", "RSS MiB"], ("PSS", lambda f: f.pss_mib), MARK)
    if OURS in figures:
        text += verdicts(
            bench,
            aim("wall time in s", figures[OURS].wall_s, 2),
            aim("memory of the whole system in MiB", figures[OURS].pss_mib, 116))
    return text
