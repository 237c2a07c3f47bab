#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""parallel.py - one scanned book uses every core: EXTRACT_PROCESSES 1 against 2.

Two systems, the same fresh bytes to one and then to the other; the one that is not asked is idle.
Pages a second are counted from the first byte sent to the state seen.
"""
import os

import lib

RUNS = 3


def bench(report):
    data = lib.read(lib.corpus("scans", "fax200.pdf"))
    if (os.cpu_count() or 1) < 2:
        raise lib.CannotMeasure("one core is not enough to be faster with two processes")
    rates, engines = {1: [], 2: []}, None
    with lib.Stack(EXTRACT_PROCESSES=1) as one, lib.Stack(EXTRACT_PROCESSES=2) as two:
        for i in range(RUNS):
            bytes_now = lib.fresh(data)
            for n, stack in ((1, one), (2, two)) if i % 2 == 0 else ((2, two), (1, one)):
                seconds, job = stack.completed("fax200.pdf", bytes_now)
                rates[n].append(job["pages_total"] / seconds)
                engines = stack.get("/api/v1/jobs/%s/result" % job["job_id"])["result"]["engines"]
    report.at_least("fax200.pdf, 2 processes", lib.median(rates[2]) / lib.median(rates[1]), 1.8, "x",
                    pages_per_s=rates, engines=engines)
    lib.note("pages/s: %.3f with one, %.3f with two; engines %s"
             % (lib.median(rates[1]), lib.median(rates[2]), engines))


lib.main(bench)
