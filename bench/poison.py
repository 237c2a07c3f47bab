#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""poison.py - a document that kills its worker whenever it is read, and what its neighbours feel.

A document can kill its reader, which costs a page; no document is known that kills the worker. So it is
done to it here: whenever the job of that document runs, its worker process gets SIGKILL. Rounds with and
without such a document take turns: NEIGHBOURS scans of a page are queued together, in the poisoned rounds
with the poison in their midst, and each is timed from its upload to `completed`.

usage: bench/poison.py [PAIRS [NEIGHBOURS]]
"""
import datetime
import os
import signal
import sys
import threading
import time

import lib

WELL = 6  # seconds until a worker counts as one that can live (server/supervise.c)


class Killer(threading.Thread):
    """Kills the worker that runs the job, again and again, until the job has ended; in the other rounds it only
    looks, as often."""

    def __init__(self, stack, job_id, kill):
        super().__init__(daemon=True)
        self.stack, self.job_id, self.kill, self.kills, self.job = stack, job_id, kill, 0, None

    def run(self):
        seen = None
        while True:
            job = self.stack.get("/api/v1/jobs/" + self.job_id)
            if job["status"] in lib.ENDED:
                self.job = job
                return
            again = self.kill and job["status"] == "processing" and job["started_at"] != seen
            worker = self.stack.worker() if again else 0
            if worker:
                seen = job["started_at"]
                os.kill(worker, signal.SIGKILL)
                self.kills += 1
            time.sleep(0.01)


def seconds(job):
    when = [datetime.datetime.fromisoformat(job[k].replace("Z", "+00:00")) for k in ("created_at", "completed_at")]
    return (when[1] - when[0]).total_seconds()


def round_of(stack, n, poisoned):
    data = lib.read(os.path.join(lib.ROOT, "tests", "data", "scan.pdf"))
    long = lib.read(lib.corpus("scans", "fax200.pdf", needed=False) or os.path.join(lib.ROOT, "tests", "data", "scans.pdf"))
    jobs = []
    for i in range(n):
        poison = stack.upload("poison.pdf", lib.fresh(long)) if poisoned and i == n // 2 else None
        jobs.append(stack.upload("scan.pdf", lib.fresh(data)))
        if i == n // 2:
            killer = Killer(stack, poison or jobs[-1], poisoned)
            killer.start()
    lib.wait_until("all neighbours ended", lambda: not int(stack.sql(
        "SELECT count(*) FROM processing_jobs WHERE status NOT IN ('completed', 'failed', 'cancelled')")[0][0]), 900, 0.2)
    ended = [stack.get("/api/v1/jobs/" + j) for j in jobs]
    if any(j["status"] != "completed" for j in ended):
        raise lib.CannotMeasure("a neighbour ended %s" % [j for j in ended if j["status"] != "completed"][0])
    killer.join()
    return [seconds(j) for j in ended], killer


def bench(report):
    pairs, n = ([int(a) for a in sys.argv[1:]] + [3, 60][len(sys.argv) - 1:])[:2]
    took, killers = {True: [], False: []}, []
    with lib.Stack() as stack:
        server = lib.identity(stack.server.pid)
        round_of(stack, 8, False)  # warm
        for i in range(2 * pairs):
            poisoned = i % 2 == 1
            time.sleep(WELL)
            figures, killer = round_of(stack, n, poisoned)
            took[poisoned] += figures
            killers += [killer] if poisoned else []
            lib.note("%s: p50 %.1f, p99 %.1f, max %.1f s" % ("with" if poisoned else "without", lib.median(figures),
                                                             lib.percentile(figures, 99), max(figures)))
        lib.wait_until("the workers are back", lambda: stack.worker() and stack.healthy(), 60)
        same = lib.identity(stack.server.pid) == server
    ok = sum(k.job["status"] == "failed" and k.job["error_code"] == "WORKER_CRASHED" and
             k.job["error_message"] == "crashed its worker 3 times" and k.kills == 3 for k in killers)
    report.row("failed at the third kill", ok, "%d" % pairs, ok == pairs, "of %d" % pairs)
    report.row("server lives, pool is back", "yes" if same else "no", "yes", same)
    with_it, without = (lib.percentile(took[k], 99) for k in (True, False))
    report.at_most("neighbours' p99, with / without", with_it / without, 1.2, "x", with_poison=with_it,
                   without=without, neighbours=n)


lib.main(bench)
