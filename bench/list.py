#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""list.py - a page of the list of jobs, of a million.

Rows are written by SQL: a third of them are the files of directory batches, one batch of them large;
some states and types are rare. One kept-alive connection asks for pages of 50 with any filter, by
token, and by offset; from the request sent to the answer read.
"""
import http.client
import json
import random
import time
import urllib.parse

import lib

JOBS, REQUESTS, OFFSET = 1000000, 40, 100000
BATCH = "00000000-0000-4000-8000-000000000001"

FILL = """
INSERT INTO processing_jobs (job_id, task_type, priority, status, created_at, started_at, completed_at, progress,
    payload, result, worker_id, actual_duration, document_name, document_id, max_retries,
    error_code, error_message, parent_job_id, parent_path)
SELECT CASE WHEN i = 1 THEN '%(batch)s' ELSE gen_random_uuid() END,
       CASE WHEN i %% 20000 = 1 THEN 'directory_batch' WHEN i %% 50 = 2 THEN 'document_reprocess'
            WHEN i %% 1000 = 3 THEN 'maintenance' ELSE 'single_document' END,
       'medium', s,
       now() - i * interval '10 ms', now() - i * interval '10 ms',
       CASE WHEN s IN ('completed', 'failed', 'cancelled') THEN now() - i * interval '10 ms' END,
       CASE WHEN s = 'completed' THEN 100 ELSE 0 END,
       jsonb_build_object('file_path', 'uploads/' || i || '/file.pdf', 'file_size', 123456, 'metadata', '{}'::jsonb),
       CASE WHEN s = 'completed' AND i %% 20000 <> 1 AND i %% 1000 <> 3 THEN jsonb_build_object('document_id', gen_random_uuid(), 'file_name', 'file.pdf',
            'content_type', 'application/pdf', 'page_count', 12, 'chunk_count', 30, 'engines', '{"text": 12}'::jsonb)
       END,
       'general-1@bench', 3, 'file ' || i || '.pdf', gen_random_uuid(), 3,
       CASE WHEN s = 'failed' THEN 'UNREADABLE' END, CASE WHEN s = 'failed' THEN 'could not open document' END,
       CASE WHEN i > 1 AND i %% 20000 > 3 AND i %% 50 <> 2 AND i %% 1000 <> 3 AND i %% 3 = 0 THEN '%(batch)s'::uuid END,
       CASE WHEN i > 1 AND i %% 20000 > 3 AND i %% 50 <> 2 AND i %% 1000 <> 3 AND i %% 3 = 0 THEN i::text END
FROM (SELECT i, CASE WHEN i %% 10000 = 7 THEN 'pending' WHEN i %% 20 = 5 THEN 'failed' WHEN i %% 100 = 11 THEN 'cancelled'
             ELSE 'completed' END AS s FROM generate_series(%(first)d, %(last)d) AS i) AS g
"""


def fill(stack):
    started = time.monotonic()
    for first in range(1, JOBS, 100000):
        stack.sql(FILL % {"batch": BATCH, "first": first, "last": first + 99999})
    stack.sql("ANALYZE processing_jobs")
    # Autovacuum does it a minute later.
    stack.sql("VACUUM processing_jobs")
    lib.note("%d rows in %.0f s" % (JOBS, time.monotonic() - started))


class Lister:
    def __init__(self, stack):
        self.c = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)

    def page(self, **fields):
        path = "/api/v1/jobs?" + urllib.parse.urlencode(dict(fields, limit=50))
        began = time.monotonic()
        self.c.request("GET", path)
        r = self.c.getresponse()
        body = r.read()
        ms = (time.monotonic() - began) * 1000
        if r.status != 200:
            raise lib.CannotMeasure("GET %s answered %d: %s" % (path, r.status, body))
        return ms, json.loads(body)


def bench(report):
    states, types = ["pending", "completed", "failed", "cancelled"], ["single_document", "directory_batch",
                                                                      "document_reprocess", "maintenance"]
    filters = [{}] + [{"status": s} for s in states] + [{"task_type": t} for t in types]
    filters += [{"status": s, "task_type": t} for s in states for t in types]
    filters += [dict(f, include_children="true") for f in filters[:9]]
    filters += [dict(f, parent_job_id=BATCH) for f in filters[:5]]
    with lib.Stack(TASK_MAX_WORKERS=0) as stack:
        fill(stack)
        lister = Lister(stack)
        rounds = [[] for _ in filters]
        tokens = [""] * len(filters)
        answers = {}
        for _ in range(REQUESTS):
            order = list(range(len(filters)))
            random.shuffle(order)
            for i in order:
                ms, answer = lister.page(**filters[i], **({"page_token": tokens[i]} if tokens[i] else {}))
                rounds[i].append(ms)
                answers[i] = answer
                # Any page: from the list's beginning on, and now and then from anywhere in it.
                tokens[i] = answer["next_page_token"] if random.random() < 0.7 else str(random.randrange(1, JOBS))
        all_ms = sorted(ms for r in rounds for ms in r)
        p99 = all_ms[int(len(all_ms) * 0.99)]
        slowest = max(range(len(filters)), key=lambda i: lib.median(rounds[i]))
        report.at_most("p99 of %d pages, any filter" % len(all_ms), p99, 20, "ms", p50=lib.median(all_ms),
                       max=all_ms[-1])
        lib.note("p50 %.1f, max %.1f ms; slowest filter %s: p50 %.1f, max %.1f ms" % (
            lib.median(all_ms), all_ms[-1], filters[slowest], lib.median(rounds[slowest]), max(rounds[slowest])))
        worst = max(range(len(filters)), key=lambda i: sorted(rounds[i])[-2])
        report.at_most("the worst filter, second slowest", sorted(rounds[worst])[-2], 20, "ms", filter=filters[worst])
        for i, f in enumerate(filters):
            if "-v" in lib.sys.argv:
                lib.note("%-70s p50 %5.1f max %5.1f total %s%s" % (f, lib.median(rounds[i]), max(rounds[i]),
                         answers[i]["total"], " estimated" if answers[i].get("total_is_estimate") else ""))
            check_total(stack, f, answers[i])
        took = {}
        for f in ({}, {"status": "completed"}, {"task_type": "single_document"}, {"include_children": "true"},
                  {"parent_job_id": BATCH}):
            took[str(f)] = max(lister.page(**f, offset=OFFSET)[0] for _ in range(5))
        report.at_most("offset %d, the slowest filter" % OFFSET, max(took.values()), 100, "ms", each=took)


def check_total(stack, f, answer):
    """Exact up to a hundred thousand."""
    where = ["true"]
    where += ["status = '%s'" % f["status"]] if "status" in f else []
    where += ["task_type = '%s'" % f["task_type"]] if "task_type" in f else ["task_type <> 'maintenance'"]
    if "parent_job_id" in f:
        where += ["parent_job_id = '%s'" % f["parent_job_id"]]
    elif "include_children" not in f:
        where += ["parent_job_id IS NULL"]
    true = int(stack.sql("SELECT count(*) FROM processing_jobs WHERE " + " AND ".join(where))[0][0])
    total = int(answer["total"])
    if true <= 100000 and total != true or true > 100000 and not answer.get("total_is_estimate"):
        raise lib.CannotMeasure("%s: total %d, true %d" % (f, total, true))


lib.main(bench)
