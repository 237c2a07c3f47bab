#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""latency.py - an upload is answered at once, however busy the workers are.

A thousand uploads of 100 kB over one kept-alive connection, one after the other, while every worker
reads scans. From the first byte sent to the last received, the client's own wait for a core included.
"""
import os
import random
import socket
import time

import lib

UPLOADS, SIZE = 1000, 100 * 1000


def text_file():
    line = b" ".join(b"%x" % random.getrandbits(32) for _ in range(9)) + b"\n"
    head = b"%032x\n" % random.getrandbits(128)
    return (head + line * (SIZE // len(line) + 1))[:SIZE]


def busy(stack):
    workers = stack.get("/api/v1/health/workers").get("workers")
    return bool(workers) and all(w.get("current_job") for w in workers)


def start_ocr(stack):
    path = lib.corpus("scans", "fax200.pdf", needed=False)
    copies = 16
    if not path:
        path, copies = os.path.join(lib.ROOT, "tests", "data", "scan.pdf"), 200
        lib.note("no corpus: the workers read copies of the small scan of tests/data")
    data = lib.read(path)
    jobs = [stack.upload("scan.pdf", lib.fresh(data)) for _ in range(copies)]
    # Workers show their job with the next heartbeat.
    lib.wait_until("every worker has a job", lambda: busy(stack) and len(stack.readers()) > 1, 60)
    return jobs


def bench(report):
    with lib.Stack() as stack:
        jobs = start_ocr(stack)
        files = [text_file() for _ in range(50)]
        took = []
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as s:
            for i in range(UPLOADS):
                body = b"%032x\n" % random.getrandbits(128) + files[i % len(files)][33:]
                status, answer, first, last = stack.send("note%d.txt" % i, body, s)
                if status != 202:
                    raise lib.CannotMeasure("an upload answered %d: %s" % (status, answer))
                took.append((last - first) * 1000)
        seconds = time.monotonic() - started
        left = int(stack.sql("SELECT count(*) FROM processing_jobs WHERE document_name = 'scan.pdf' "
                             "AND status IN ('pending', 'processing')")[0][0])
        if not busy(stack) or left < 4:
            raise lib.CannotMeasure("the scans were read before the uploads ended: %d of %d left"
                                    % (left, len(jobs)))
    took.sort()
    at = {p: took[min(len(took) - 1, int(len(took) * p / 100))] for p in (50, 90, 99, 99.9)}
    report.below("p99 of %d uploads" % UPLOADS, at[99], 50, "ms", p50=at[50], p90=at[90], p999=at[99.9],
                 max=took[-1])
    lib.note("p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f ms; %.1f s in all, %d scans still to read"
             % (at[50], at[90], at[99], at[99.9], took[-1], seconds, left))


lib.main(bench)
