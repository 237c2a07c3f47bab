#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""directory.py - a directory of two thousand small files, one in twenty of them broken.

The table has a hundred thousand other jobs, so that reading all of it for every file would show.
"""
import os
import random
import time

import lib

FILES, BROKEN_EVERY, OTHERS = 2000, 20, 100000

FILL = """
INSERT INTO processing_jobs (job_id, task_type, priority, status, completed_at, progress, payload, document_name,
                             max_retries)
SELECT gen_random_uuid(), 'single_document', 'medium', 'completed', now(), 100, '{}', 'other', 3
FROM generate_series(1, %d)
"""
SCANS = "SELECT seq_scan, seq_tup_read, n_live_tup FROM pg_stat_user_tables WHERE relname = 'processing_jobs'"


def make(folder):
    broken = set()
    for i in range(FILES):
        sub = os.path.join(folder, "%02d" % (i % 20))
        os.makedirs(sub, exist_ok=True)
        path = os.path.join(sub, "file%04d" % i)
        if i % BROKEN_EVERY == 7:
            path += ".pdf"
            content = b"%PDF-1.7\n" + random.randbytes(300)
            broken.add(path)
        else:
            path += ".txt"
            content = b"%032x\nthe quick brown fox jumps over the lazy dog\n" % random.getrandbits(128) * 5
        with open(path, "wb") as f:
            f.write(content)
    return broken


def bench(report):
    os.makedirs(os.path.join(lib.ROOT, ".dev"), exist_ok=True)
    folder = lib.tempfile.mkdtemp(prefix="bench-files-", dir=os.path.join(lib.ROOT, ".dev"))
    try:
        broken = make(folder)
        with lib.Stack(INGEST_ROOTS=folder) as stack:
            measure(report, stack, folder, broken)
    finally:
        lib.shutil.rmtree(folder, ignore_errors=True)


def measure(report, stack, folder, broken):
    stack.sql(FILL % OTHERS)
    stack.sql("ANALYZE processing_jobs")
    time.sleep(1.5)  # the statistics of PostgreSQL come late
    before = [int(x) for x in stack.sql(SCANS)[0]]
    began = time.monotonic()
    status, answer = stack.post("/api/v1/documents/ingest-directory", {"directory_path": folder})
    report.below("POST answered", time.monotonic() - began, 1, "s")
    if status != 202 or answer["total_files_found"] != FILES:
        raise lib.CannotMeasure("the directory was answered %d: %s" % (status, answer))
    job, seen = stack.wait(answer["job_id"])
    report.row("%d files read" % FILES, seen - began, "", None, "s", rate=FILES / (seen - began))
    time.sleep(1.5)
    after = [int(x) for x in stack.sql(SCANS)[0]]
    result = stack.get("/api/v1/jobs/%s" % answer["job_id"])["result"]
    report.row("files that failed", result["failed"], "== %d" % len(broken),
               job["status"] == "completed" and result["failed"] == len(broken)
               and result["successful"] == FILES - len(broken) and result["total_files"] == FILES)
    listed = {os.path.join(folder, f["file_path"]): f for f in result["failed_files"]}
    with_reason = [f for f in listed.values() if f["error_code"] and f["error_message"]]
    expected = min(100, len(broken))
    report.row("of them listed with a reason", len(with_reason), "== %d" % expected,
               len(with_reason) == expected and set(listed) <= broken)
    scans, rows = after[0] - before[0], after[1] - before[1]
    report.at_most("whole scans of the table, a file", scans / FILES, 0.05, scans=scans, rows=rows)
    lib.note("%d scans, %d rows read by them; the table has %d" % (scans, rows, after[2]))


lib.main(bench)
