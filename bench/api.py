#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""api.py - GetJob over gRPC and over REST, against the same service in Go and in Python.

The peers are bench/peers/go (grpc-go, pgx) and bench/peers/fastapi (FastAPI, uvicorn, asyncpg). They read the
same row of the same database, and answer the same message; the peers have 8 connections, localrag-server has
four for gRPC and four for REST at the most, beside those of its 8 handler threads. Rounds are interleaved; a
ratio is the median over the rounds. The load runs on the same machine.

    api.py [grpc] [rest]
"""
import json
import os
import sys

import lib
from peer import MADE, PEERS, Peer, make_go, need, run

JOBS, ROUNDS = 1000, 5
SECONDS = float(os.environ.get("BENCH_SECONDS") or 3)

FILL = """
INSERT INTO processing_jobs (job_id, task_type, priority, status, created_at, started_at, completed_at, progress,
    progress_message, payload, result, worker_id, actual_duration, document_name, document_id, max_retries,
    pages_done, pages_total)
SELECT gen_random_uuid(), 'single_document', 'medium', 'completed', now(), now(), now(), 100, 'Completed',
       jsonb_build_object('file_path', 'uploads/' || i, 'file_size', 123456, 'metadata', '{}'::jsonb),
       jsonb_build_object('document_id', gen_random_uuid(), 'file_name', 'file.pdf', 'content_type',
           'application/pdf', 'page_count', 12, 'chunk_count', 30, 'engines', '{"text": 10, "ocr": 2}'::jsonb,
           'ocr_mean_confidence', 0.93, 'languages', '["eng"]'::jsonb,
           'timings', '{"extract_ms": 312, "total_ms": 345}'::jsonb),
       'general-1@bench', 3, 'file ' || i || '.pdf', gen_random_uuid(), 3, 12, 12
FROM generate_series(1, %d) AS i
"""


def make_python():
    need("wrk")
    out = os.path.join(MADE, "venv")
    python = os.path.join(out, "bin", "python")
    if not os.access(python, os.X_OK):
        run([sys.executable, "-m", "venv", out])
    run([python, "-m", "pip", "install", "-q", "-r", os.path.join(PEERS, "fastapi", "requirements.txt")])
    return python


def load_grpc(made, port, concurrent, ids):
    out = run([os.path.join(made, "load"), "127.0.0.1:%d" % port, str(concurrent), str(SECONDS)],
              input="\n".join(ids))
    figures = json.loads(out)
    figures["rate"] = figures["calls"] / figures["seconds"]
    return figures


def bench_grpc(report, stack, ids):
    made = make_go()
    with Peer([os.path.join(made, "peer")], stack) as peer:
        for concurrent in (1, 8, 64):
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(load_grpc(made, stack.grpc_port, concurrent, ids))
                theirs.append(load_grpc(made, peer.port, concurrent, ids))
            compare(report, concurrent, ours, theirs)
        memory, shares = ([lib.kilobytes(pid, "smaps_rollup", field) for pid in (stack.server.pid, peer.process.pid)]
                          for field in ("Rss", "Pss"))
    report.at_most("resident memory, of the peer's", memory[0] / memory[1], 0.5, ours=memory[0], peer=memory[1])
    lib.note("%.1f MB, the peer %.1f MB; of pages that several processes have only the share (PSS): %.1f MB, the "
             "peer %.1f MB" % tuple(n / 1e6 for n in memory + shares))


def compare(report, concurrent, ours, theirs):
    def median(figures, key):
        return lib.median([f[key] for f in figures])

    ratio = lib.median([o["rate"] / t["rate"] for o, t in zip(ours, theirs)])
    tail = lib.median([o["p99"] / t["p99"] for o, t in zip(ours, theirs)])
    report.at_least("GetJob, %d at a time, rate of the peer's" % concurrent, ratio, 1.3, ours=ours, peer=theirs)
    report.at_most("GetJob, %d at a time, p99 of the peer's" % concurrent, tail, 1.0)
    for who, f in (("ours", ours), ("peer", theirs)):
        lib.note("%s %.0f calls/s, p50 %.2f, p99 %.2f ms" % (who, median(f, "rate"), median(f, "p50"), median(f, "p99")))


WRK = """
local ids = {}
for id in io.lines(os.getenv("IDS")) do ids[#ids + 1] = id end
local i = math.random(#ids)
request = function()
    i = i %% #ids + 1
    return wrk.format("GET", "/api/v1/jobs/" .. ids[i])
end
done = function(summary, latency)
    local e = summary.errors
    io.write(string.format('{"calls": %%d, "us": %%d, "p99": %%f, "bad": %%d}\\n', summary.requests, summary.duration,
        latency:percentile(99) / 1000, e.status + e.connect + e.read + e.write + e.timeout))
end
"""


def load_rest(stack, port, ids):
    script, list_of_ids = os.path.join(stack.tmp, "load.lua"), os.path.join(stack.tmp, "ids")
    with open(script, "w", encoding="utf-8") as f:
        f.write(WRK.replace("%%", "%"))
    with open(list_of_ids, "w", encoding="utf-8") as f:
        f.write("\n".join(ids) + "\n")
    out = run(["wrk", "-t1", "-c64", "-d%ds" % max(1, round(SECONDS)), "-s", script, "http://127.0.0.1:%d" % port],
              env=dict(os.environ, IDS=list_of_ids))
    figures = json.loads(out.splitlines()[-1])
    if figures["bad"]:
        raise lib.CannotMeasure("%d requests of %d failed" % (figures["bad"], figures["calls"]))
    figures["rate"] = figures["calls"] / figures["us"] * 1e6
    return figures


def bench_rest(report, stack, ids):
    python = make_python()
    words = [python, "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", "PORT", "--no-access-log",
             "--app-dir", os.path.join(PEERS, "fastapi"), "--log-level", "warning"]
    with Peer(words, stack) as peer:
        path = "/api/v1/jobs/" + ids[0]
        a, b = lib.http_get(stack.port, path)[1], lib.http_get(peer.port, path)[1]
        a["result"] = {k: v for k, v in a["result"].items() if k in b["result"]}
        a["result"]["timings"] = {k: v for k, v in a["result"]["timings"].items() if v is not None}
        if a != b:
            raise lib.CannotMeasure("the peer answers something else: %s, ours %s" % (b, a))
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(load_rest(stack, stack.port, ids))
            theirs.append(load_rest(stack, peer.port, ids))
    ratio = lib.median([o["rate"] / t["rate"] for o, t in zip(ours, theirs)])
    report.at_least("GET of a job, rate of FastAPI's", ratio, 8, ours=ours, peer=theirs)
    for who, f in (("ours", ours), ("peer", theirs)):
        lib.note("%s %.0f requests/s, p99 %.1f ms" % (
            who, lib.median([x["rate"] for x in f]), lib.median([x["p99"] for x in f])))


def bench(report):
    wanted = sys.argv[1:] or ["grpc", "rest"]
    with lib.Stack(TASK_MAX_WORKERS=0) as stack:
        stack.sql(FILL % JOBS)
        stack.sql("ANALYZE processing_jobs")
        ids = [row[0] for row in stack.sql("SELECT job_id FROM processing_jobs ORDER BY random()")]
        if "grpc" in wanted:
            bench_grpc(report, stack, ids)
        if "rest" in wanted:
            bench_rest(report, stack, ids)


lib.main(bench)
