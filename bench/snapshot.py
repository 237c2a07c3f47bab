#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""snapshot.py - somebody holds a snapshot (a dump, a report, a forgotten psql) while the queue is busy.

Dead rows that a snapshot may still see can be neither vacuumed nor skipped in an index, so queues in a
table slow down for as long as it is held. Two databases on one server do the same, submit, claim
and finish small jobs as fast as they go (loop.c), in turns: in one of them a REPEATABLE READ transaction
is open all the time. A snapshot holds back its own database only.

    snapshot.py [SECONDS]     of load in each database, default 300
"""
import subprocess
import sys

import lib

TURN, WORKERS = 10, 8


class Snapshot:
    """An open transaction that has read."""

    def __init__(self, url):
        self.process = subprocess.Popen(["psql", "-XqAt", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM processing_jobs;")

    def ask(self, query):
        self.process.stdin.write(query + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def dead(stack):
    return int(stack.sql("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'processing_jobs'")[0][0])


def bench(report):
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    turns = max(2, length // TURN)
    settings = {"TASK_MAX_WORKERS": 0, "TASK_JOB_RETENTION": 365 * 86400}
    with lib.Stack(**settings) as plain, lib.Stack(**settings) as held:
        rates = {plain: [], held: []}
        claims = {plain: [], held: []}
        snapshot = Snapshot(held.database)
        before = snapshot.ask("SELECT count(*) FROM processing_jobs;")
        for i in range(turns):
            for stack in (plain, held) if i % 2 == 0 else (held, plain):
                seconds = lib.Loop(stack, length // turns + 1, WORKERS).wait()
                rates[stack].append(lib.rate(seconds))
                claims[stack].append(lib.percentile(lib.all_of(seconds, "claim_ms"), 99))
        if snapshot.ask("SELECT count(*) FROM processing_jobs;") != before:
            raise lib.CannotMeasure("the snapshot was not held")
        details = {"held": rates[held], "plain": rates[plain], "claim_p99_held": claims[held],
                   "claim_p99_plain": claims[plain], "dead": dead(held), "dead_plain": dead(plain)}
        snapshot.end()
        report.at_least("throughput with a snapshot / without", sum(rates[held]) / sum(rates[plain]), 0.95, **details)
        last = -(-turns // 3)
        report.at_least("the same, last third", sum(rates[held][-last:]) / sum(rates[plain][-last:]), 0.95)
        lib.note("%.0f and %.0f jobs a second; %d and %d dead rows" % (
            lib.median(rates[held]), lib.median(rates[plain]), details["dead"], details["dead_plain"]))


if __name__ == "__main__":
    lib.main(bench)
