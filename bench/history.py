#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""history.py - ten million finished jobs, and a million of them are removed.

Rows are written by SQL. The milliseconds of a claim (the statement, as a worker calls it) are taken on this
database and on an empty one in turns, at a pace that leaves the machine time. Then DELETE /jobs/cleanup
removes the oldest million while submits and claims go on beside it: the longest of them is the pause that
others notice. The same without the cleanup is shown for comparison, how long a program waits that does nothing but
write 8 kB to that disk and sync them, and the longest in the seconds in which the disk kept nobody waiting.

    history.py [MILLIONS]     of finished rows, default 10; a tenth is removed
"""
import json
import os
import re
import sys
import tempfile
import threading
import time

import lib

TURN, TURNS, WORKERS, PACE_MS, CALM = 10, 4, 4, 20, 20
KEPT_DAYS = 60
SLOW_SYNC_MS = 25

FINISHED = """
INSERT INTO processing_jobs (job_id, task_type, priority, status, created_at, started_at, completed_at, progress,
    payload, result, worker_id, actual_duration, progress_message, max_retries, ready_at, claim_epoch, document_id,
    document_name, content_hash)
SELECT gen_random_uuid(), 'single_document', 'medium', 'completed', t, t, t, 100,
       jsonb_build_object('file_path', 'uploads/' || i, 'content_type', 'text/plain', 'file_size', 200),
       '{"page_count": 1}', 'general-1@bench', 1, 'Completed', 3, t, 1, gen_random_uuid(), 'small.txt', md5(i::text)
FROM (SELECT i, now() - interval '%(kept)d days'
             + CASE WHEN i <= %(old)d THEN (i - %(old)d) ELSE i %%%% 5000000 + 1 END * interval '1 s' AS t
      FROM generate_series(%%(first)d, %%(last)d) AS i) AS g
"""


def claims(report, empty, full):
    samples = {empty: [], full: []}
    for i in range(TURNS):
        for stack in (empty, full) if i % 2 == 0 else (full, empty):
            samples[stack] += lib.Loop(stack, TURN + 1, WORKERS, PACE_MS).wait()
    p99 = {s: lib.percentile(lib.all_of(samples[s], "claim_ms"), 99) for s in samples}
    p50 = {s: lib.percentile(lib.all_of(samples[s], "claim_ms"), 50) for s in samples}
    report.at_most("claim p99, history / empty", p99[full] / p99[empty], 1.2, "", p99_history=p99[full],
                   p99_empty=p99[empty], p50_history=p50[full], p50_empty=p50[empty],
                   claims=[len(lib.all_of(samples[s], "claim_ms")) for s in (full, empty)])
    lib.note("p50 %.2f and %.2f, p99 %.2f and %.2f ms" % (p50[full], p50[empty], p99[full], p99[empty]))


def remove(stack, wanted):
    """Until a call comes to its end; one that its deadline ended says how many it removed."""
    removed, began = 0, time.monotonic()
    while True:
        c = stack.connect()
        c.request("DELETE", "/api/v1/jobs/cleanup?days_old=%d" % KEPT_DAYS)
        r = c.getresponse()
        answer = json.loads(r.read())
        c.close()
        before = re.search(r"(\d+) jobs were removed before", json.dumps(answer))
        now = answer["deleted"] if r.status == 200 else int(before[1]) if before else 0
        removed += now
        if r.status == 200 and removed >= wanted:  # a row a second grows old meanwhile
            return time.monotonic() - began
        if r.status == 200 or now == 0:
            raise lib.CannotMeasure("cleanup answered %d, %d of %d removed: %s" % (r.status, removed, wanted, answer))


class Disk(threading.Thread):
    """When a lone fdatasync began and the milliseconds it took, every PACE_MS, until end()."""

    def __init__(self):
        super().__init__(daemon=True)
        self.syncs, self.ending = [], threading.Event()
        self.start()

    def run(self):
        with tempfile.TemporaryFile(dir=os.path.join(lib.ROOT, ".dev")) as f:
            while not self.ending.wait(PACE_MS / 1000):
                os.pwrite(f.fileno(), b"x" * 8192, 0)
                began = time.monotonic()
                os.fdatasync(f.fileno())
                self.syncs.append((began, (time.monotonic() - began) * 1000))

    def end(self):
        self.ending.set()
        self.join()

    def was_quick(self, began, ended):
        return all(ms < SLOW_SYNC_MS or at > ended or at + ms / 1000 < began for at, ms in self.syncs)


def cleanup(report, stack, wanted):
    calm = lib.Loop(stack, CALM, WORKERS, PACE_MS).wait()
    loop = lib.Loop(stack, 3600, WORKERS, PACE_MS)
    try:
        lib.wait_until("the loop has begun", lambda: len(loop.seconds) > 1, 30)
        skip = len(loop.seconds)
        disk = Disk()
        took = remove(stack, wanted)
        disk.end()
        begun = len(loop.seconds)
        lib.wait_until("the second is over", lambda: len(loop.seconds) > begun, 10)
    finally:
        loop.process.terminate()
        loop.process.wait()
        loop.reader.join()
    beside = loop.seconds[skip:]
    for what in ("submit_ms", "claim_ms"):
        quiet, busy = lib.all_of(calm, what), lib.all_of(beside, what)
        report.at_most("longest %s beside the cleanup" % what[:-3], busy[-1], 50, "ms", p99=lib.percentile(busy, 99),
                       p50=lib.percentile(busy, 50), samples=len(busy), without_longest=quiet[-1],
                       without_p99=lib.percentile(quiet, 99))
        lib.note("p99 %.1f ms; without the cleanup p99 %.1f, longest %.1f ms" % (
            lib.percentile(busy, 99), lib.percentile(quiet, 99), quiet[-1]))
    ms = sorted(ms for _, ms in disk.syncs)
    lib.note("a lone fdatasync beside it: p99 %.1f, longest %.1f ms" % (lib.percentile(ms, 99), ms[-1]))
    quick = [s for s in beside if disk.was_quick(s["at"] - 1.2, s["at"] + 0.2)]
    lib.note("in the %d of %d seconds without one of %d ms: longest submit %.1f, claim %.1f ms" % (
        len(quick), len(beside), SLOW_SYNC_MS, *(max(lib.all_of(quick, k), default=0) for k in ("submit_ms", "claim_ms"))))
    report.row("rows removed a second", wanted / took, "", None, rows=wanted)


def bench(report):
    total = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 10000000
    settings = {"TASK_MAX_WORKERS": 0, "TASK_JOB_RETENTION": 365 * 86400}
    with lib.Stack(**settings) as empty, lib.Stack(**settings) as full:
        lib.fill(full.database, total, FINISHED % {"kept": KEPT_DAYS, "old": total // 10})
        claims(report, empty, full)
        cleanup(report, full, total // 10)


if __name__ == "__main__":
    lib.main(bench)
