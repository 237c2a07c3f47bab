#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""hostile.py - every hostile file at once: each must come to a typed end, and nobody else may notice.

A 4xx with a code at upload is an end too. Afterwards the same server, worker and zygote must still
run (no restart), no reader may be left, and no file but the originals of accepted uploads.
"""
import concurrent.futures
import os
import time

import lib

LIMIT = 300


def one(stack, path):
    """(name, outcome, seconds, good)"""
    name, start = os.path.basename(path), time.monotonic()
    try:
        status, answer, _, _ = stack.send(name, lib.read(path))
        if status != 202:
            good = 400 <= status < 500 and bool(answer.get("code"))
            return name, "%d %s" % (status, answer.get("code")), time.monotonic() - start, good
        job, seen = stack.wait(answer["job_id"])
    except Exception as e:  # pylint: disable=broad-except
        return name, "%s: %s" % (type(e).__name__, e), time.monotonic() - start, False
    seconds = seen - start
    if job["status"] == "completed":
        result = stack.get("/api/v1/jobs/%s/result" % job["job_id"])["result"]
        return name, "completed, %d pages, %d failed" % (
            result["page_count"], len(result.get("failed_pages") or [])), seconds, seconds <= LIMIT
    good = job["status"] == "failed" and bool(job.get("error_code")) and seconds <= LIMIT
    return name, "%s %s" % (job["status"], job.get("error_code")), seconds, good


def files_left(stack):
    """Files that no accepted upload explains."""
    known = {row[0] for row in stack.sql("SELECT payload->>'file_path' FROM processing_jobs") if row}
    left = []
    for top in (stack.data, stack.spare):
        for folder, _, names in os.walk(top):
            left += [os.path.join(folder, n) for n in names]
    allowed = {os.path.join(stack.data, "secret.key")}
    return sorted(p for p in left if p not in known and p not in allowed)


def bench(report):
    folder = lib.corpus("hostile", needed=False)
    if not folder:
        lib.note("no corpus: with the bad files of tests/data")
        folder = os.path.join(lib.ROOT, "tests", "data")
    paths = [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if not n.endswith(".py")]
    with lib.Stack() as stack:
        before = [lib.identity(p) for p in (stack.server.pid, stack.worker(), stack.zygote())]
        with concurrent.futures.ThreadPoolExecutor(len(paths)) as threads:
            ends = list(threads.map(lambda p: one(stack, p), paths))
        after = [lib.identity(p) for p in (stack.server.pid, stack.worker(), stack.zygote())]
        # A killed reader needs a moment to be gone.
        try:
            lib.wait_until("all readers are gone", lambda: not stack.readers(), 10)
            readers = 0
        except lib.CannotMeasure:
            readers = len(stack.readers())
        left = files_left(stack)
        alive = stack.completed("sample.pdf", lib.read(os.path.join(lib.ROOT, "docs", "sample.pdf")))[0]
        peak = {n: round(lib.kilobytes(p[0], "status", "VmHWM") / 1e6) for n, p in
                zip(("server", "worker", "zygote"), after) if p and lib.identity(p[0])}
    for name, outcome, seconds, good in ends:
        lib.note("%-22s %-44s %6.1f s%s" % (name, outcome, seconds, "" if good else "   <- NOT MET"))
    bad = [e[0] for e in ends if not e[3]]
    report.row("files with a typed end", len(ends) - len(bad), "%d" % len(ends), not bad,
               "of %d" % len(ends), bad=bad, slowest_s=max(e[2] for e in ends),
               ends={e[0]: e[1] for e in ends})
    report.at_most("slowest end", max(e[2] for e in ends), LIMIT, "s")
    restarts = sum(a != b for a, b in zip(before, after))
    report.at_most("server, worker, zygote restarted", restarts, 0, before=before, after=after)
    report.at_most("readers left", readers, 0)
    report.at_most("files left", len(left), 0, names=[os.path.relpath(p, stack.tmp) for p in left[:20]])
    lib.note("a good document afterwards: %.1f s; peak resident MB: %s" % (alive, peak))


lib.main(bench)
