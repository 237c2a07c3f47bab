#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""backlog.py - a million jobs wait, and Redis loses everything.

Rows are written by SQL, in all three priorities. First the same small jobs are submitted, claimed and
finished (loop.c) on a database with the backlog and on one without, in turns: with a backlog the lanes are
full and only the sweep feeds them. Then, while workers drain the backlog, all of Redis is emptied: until
the next job that was claimed after it, and until the lanes are filled and stay so. Lanes are steady from
the first look at which every priority with a backlog has STEADY entries and never fewer again.

    backlog.py [ROUNDS]     turns of ten seconds on each side, default 3
"""
import sys
import time

import lib

JOBS, TURN, DRAIN, WORKERS, STEADY = 1000000, 10, 40, 8, 1000
LANES = ("high", "medium", "low")

WAITING = """
INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, document_name, content_hash,
                             created_at, ready_at)
SELECT gen_random_uuid(), 'single_document', CASE i %% 10 WHEN 0 THEN 'high' WHEN 1 THEN 'low' ELSE 'medium' END,
       jsonb_build_object('file_path', 'uploads/' || i, 'content_type', 'text/plain', 'file_size', 200),
       3, 'small.txt', md5(i::text), t, t
FROM (SELECT i, now() - interval '1 hour' + i * interval '1 ms' AS t
      FROM generate_series(%(first)d, %(last)d) AS i) AS g
"""


def throughput(report, empty, full, rounds):
    rates = {empty: [], full: []}
    for i in range(rounds):
        for stack in (empty, full) if i % 2 == 0 else (full, empty):
            rates[stack].append(lib.rate(lib.Loop(stack, TURN + 1, WORKERS).wait()))
    ratio = sum(rates[full]) / sum(rates[empty])
    report.at_least("throughput with the backlog / empty", ratio, 0.9, with_backlog=rates[full], empty=rates[empty])
    lib.note("%.0f with it, %.0f jobs a second without" % (lib.median(rates[full]), lib.median(rates[empty])))


def lengths(stack):
    return [int(lib.redis("ZCARD", "{%s}:%s" % (stack.name, lane))) for lane in LANES]


def wipe(report, stack):
    loop = lib.Loop(stack, DRAIN, WORKERS, how="drain")
    try:
        lib.wait_until("the lanes are filled", lambda: min(lengths(stack)) >= STEADY, 30)
        lib.wait_until("jobs are claimed", lambda: loop.seconds and loop.seconds[-1]["jobs"], 10)
        lib.redis("FLUSHALL")
        wiped = time.time()
        looks = []
        while time.time() < wiped + 20:
            looks.append((time.time() - wiped, lengths(stack)))
            time.sleep(0.02)
        seconds = loop.wait()
    finally:
        if loop.process.poll() is None:
            loop.process.terminate()
            loop.process.wait()
    # What was in a worker's hands already is claimed within moments: one job each does not count.
    later = [t - wiped for t in lib.all_of(seconds, "claim_at") if t > wiped]
    if len(later) <= WORKERS:
        raise lib.CannotMeasure("only %d jobs were claimed after Redis was emptied" % len(later))
    report.at_most("Redis emptied: next job claimed", later[WORKERS], 1, "s", first_of_all=later[0])
    steady = next((t for i, (t, n) in enumerate(looks) if all(min(m) >= STEADY for _, m in looks[i:])), None)
    if steady is None:
        steady = float("inf")
    report.at_most("lanes steady after", steady, 10, "s", at_the_end=looks[-1][1])


def bench(report):
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    # No workers of their own: the loop's are the only ones. Nothing is old enough to be removed.
    settings = {"TASK_MAX_WORKERS": 0, "TASK_JOB_RETENTION": 365 * 86400}
    with lib.Stack(**settings) as empty, lib.Stack(**settings) as full:
        lib.fill(full.database, JOBS, WAITING)
        lib.wait_until("the lanes are filled", lambda: min(lengths(full)) >= STEADY, 60)
        throughput(report, empty, full, rounds)
        wipe(report, full)


if __name__ == "__main__":
    lib.main(bench)
