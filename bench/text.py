#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""text.py - born-digital PDFs: upload to completed, against pdftotext of the same file.

Both get the same fresh bytes, one after the other, five times. Ours includes everything a user waits
for: sending, the queue, reading, storing every page and chunk with fsync, and the event that says so.
"""
import os
import subprocess
import time

import lib

FILES = (("octave.pdf", 1.0), ("r-exts.pdf", 1.2))
RUNS = 5


def pdftotext(path, out):
    start = time.monotonic()
    subprocess.run(["pdftotext", path, out], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def measure(stack, name, data):
    path, out = os.path.join(stack.tmp, "in.pdf"), os.path.join(stack.tmp, "out.txt")
    theirs, ours, jobs = [], [], []
    for i in range(RUNS):
        bytes_now = lib.fresh(data)
        with open(path, "wb") as f:
            f.write(bytes_now)
        if i % 2:
            theirs.append(pdftotext(path, out))
        seconds, job = stack.completed(name, bytes_now)
        ours.append(seconds)
        jobs.append(job)
        if not i % 2:
            theirs.append(pdftotext(path, out))
    return theirs, ours, jobs


def bench(report):
    files = [(name, bar, lib.read(lib.corpus("born", name))) for name, bar in FILES]
    with lib.Stack() as stack:
        for name, bar, data in files:
            theirs, ours, jobs = measure(stack, name, data)
            results = [stack.get("/api/v1/jobs/%s/result" % j["job_id"])["result"] for j in jobs]
            assert not any(r.get("duplicate_of") for r in results)
            extract = lib.median(r["timings"]["extract_ms"] for r in results) / 1000
            total = lib.median(r["timings"]["total_ms"] for r in results) / 1000
            mine, other = lib.median(ours), lib.median(theirs)
            report.at_most(name, mine / other, bar, "x pdftotext", ours_s=ours, pdftotext_s=theirs,
                           extract_s=extract, job_s=total)
            lib.note("%d pages: %.3f s (%.3f-%.3f), of it the job %.3f, of it reading %.3f; pdftotext %.3f s "
                     "(%.3f-%.3f)" % (results[0]["page_count"], mine, min(ours), max(ours), total, extract,
                                      other, min(theirs), max(theirs)))


lib.main(bench)
