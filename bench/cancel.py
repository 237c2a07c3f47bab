#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""cancel.py - a job is cancelled while a page of it is read by OCR: how soon its CPU is idle.

From the first byte of the request to the moment when every process that read the document is gone (or
waits to be reaped), looked at every 2 ms. A reader is a process of its own, so gone is the only proof that
it does not go on.

usage: bench/cancel.py [CANCELS]
"""
import os
import sys
import time

import lib

WORKED = 0.2  # seconds of CPU: Tesseract is at it


def at_work(stack):
    return any(lib.cpu_seconds(p) >= WORKED for p in stack.readers())


def alive(readers):
    return [r for r in readers if lib.identity(r[0]) == r and (lib.stat_of(r[0]) or ("", "Z"))[1][0] != "Z"]


def one(stack, data):
    job_id = stack.upload("scan.pdf", lib.fresh(data))
    lib.wait_until("a page is read", lambda: at_work(stack), 60, 0.02)
    readers = [lib.identity(p) for p in stack.readers()]
    zygote, began = stack.zygote(), time.monotonic()
    status, answer = stack.post("/api/v1/jobs/%s/cancel" % job_id)
    answered = time.monotonic()
    if status != 200:
        raise lib.CannotMeasure("cancel answered %d: %s" % (status, answer))
    # Also one that began between the look and the cancel.
    children = "/proc/%d/task/%d/children" % (zygote, zygote)
    lib.wait_until("all readers are gone",
                   lambda: not alive(readers) and not [p for p in map(int, lib.read(children).split())
                                                       if (lib.stat_of(p) or (0, "Z"))[1][0] != "Z"], 30, 0.002)
    return (time.monotonic() - began) * 1000, (answered - began) * 1000


def bench(report):
    path = lib.corpus("scans", "fax200.pdf", needed=False) or os.path.join(lib.ROOT, "tests", "data", "scans.pdf")
    data = lib.read(path)
    with lib.Stack() as stack:
        figures = [one(stack, data) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 60)]
    took = [f[0] for f in figures]
    lib.note("answered: p50 %.1f, max %.1f ms" % (lib.median([f[1] for f in figures]), max(f[1] for f in figures)))
    report.row("cancel to no CPU, p50", lib.median(took), "", None, "ms")
    report.at_most("cancel to no CPU, p99", lib.percentile(took, 99), 300, "ms", n=len(took), max=max(took))


lib.main(bench)
