#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""drain.py - SIGTERM while four workers read scans: how soon the whole system is gone, and what it costs.

The server is sent SIGTERM once every worker has a page of its document in the database; its workers get
SHUTDOWN_GRACE (the default, 25 s), which is not enough for the documents. Then it is started again and
everything runs to its end. A page that was in the database before must keep its row: a page that is read
again gets a new one.

usage: bench/drain.py [ROUNDS]
"""
import os
import subprocess
import sys
import time

import lib

GRACE, WORKERS = 25, 4


def pages(stack):
    return {(r[0], r[1]): r[2] for r in stack.sql("SELECT revision_id, page, created_at FROM document_pages")}


def all_read(stack):
    busy = [w["current_job"] for w in stack.get("/api/v1/workers")["workers"] if w["current_job"]]
    return len(busy) == WORKERS and set(busy) <= {job for job, _ in pages(stack)}


def ended(stack, jobs):
    return all(stack.get("/api/v1/jobs/" + j)["status"] in lib.ENDED for j in jobs)


def stop(stack):
    """SIGTERM; seconds to the end of the server, and which of its processes are still there."""
    below = [lib.identity(p) for p in lib.tree(stack.server.pid)[1:]]
    began = time.monotonic()
    stack.server.terminate()
    try:
        status = stack.server.wait(60)
    except subprocess.TimeoutExpired:
        raise lib.CannotMeasure("the server did not stop within 60 s") from None
    took = time.monotonic() - began
    if status:
        raise lib.CannotMeasure("the server ended with status %d" % status)
    return took, [who for who in below if who and lib.identity(who[0]) == who]


def one(report, data):
    with lib.Stack(SHUTDOWN_GRACE=GRACE, TASK_MAX_WORKERS=WORKERS, TASK_HIGH_PRIORITY_WORKERS=1) as stack:
        jobs = [stack.upload("scan.pdf", lib.fresh(data)) for _ in range(WORKERS + 2)]
        lib.wait_until("every worker has read a page", lambda: all_read(stack), 120, 0.2)
        took, left = stop(stack)
        before = pages(stack)
        rows = stack.sql("SELECT status, retry_count + crash_count FROM processing_jobs WHERE status <> 'completed'")
        report.at_most("SIGTERM to exit, %d busy workers" % WORKERS, took, GRACE, "s")
        report.at_most("processes left", len(left), 0)
        report.row("jobs handed back", sum(r[0] == "pending" for r in rows), "%d" % len(rows),
                   bool(rows) and all(r[0] == "pending" for r in rows), "of %d" % len(rows))
        report.at_most("retries or crashes spent", sum(int(r[1]) for r in rows), 0)
        stack.start()
        lib.wait_until("all are read", lambda: ended(stack, jobs), 600, 0.5)
        after = pages(stack)
        report.at_most("pages read again", sum(after.get(k) != t for k, t in before.items()), 0, "of %d" % len(before))
        bad = stack.sql("SELECT job_id, status FROM processing_jobs WHERE status <> 'completed' OR retry_count > 0")
        report.at_most("jobs that did not complete", len(bad), 0, "of %d" % len(jobs))


def bench(report):
    path = lib.corpus("scans", "fax200.pdf", needed=False) or os.path.join(lib.ROOT, "tests", "data", "scans.pdf")
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        one(report, lib.read(path))


lib.main(bench)
