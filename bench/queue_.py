#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""queue_.py - jobs that do nothing, claimed, run and finished durably, against other job systems.

Ours is the worker itself with one function exchanged (queue_noop.c). The peers (bench/peers/queue) use the
same PostgreSQL and Redis, in rounds that are interleaved; a ratio is the median over the rounds. Jobs
are stored beforehand, which is not timed, with 200 bytes each. Every run is checked: each job was
entered exactly once, and all are stored as ended. What a job system keeps differs: ours, BullMQ, pg-boss
and River keep a row of every job; graphile-worker deletes it; Celery keeps nothing, and its Redis is not
durable.

    queue_.py [ours] [pickup] [bullmq-pg] [graphile] [pg-boss] [river] [celery] [graphile-batched] [bullmq-redis]

BENCH_ROUNDS (5) and BENCH_SCALE (1: how many times the jobs below) change the length.
"""
import json
import os
import shutil
import subprocess
import sys
import time

import lib

PEERS = os.path.join(lib.ROOT, "bench", "peers", "queue")
MADE = os.path.join(lib.ROOT, ".dev", "bench", "queue")
NOOP = os.path.join(lib.BIN, "bench-queue-noop")
ROUNDS = int(os.environ.get("BENCH_ROUNDS") or 5)
SCALE = float(os.environ.get("BENCH_SCALE") or 1)
WORKERS = 512
PICKUPS = 1000

# Jobs a run: a few seconds of each.
OURS = 60000
JOBS = {"bullmq-pg": 6000, "graphile": 6000, "pg-boss": 20000, "river": 60000, "celery": 6000,
        "graphile-batched": 60000, "bullmq-redis": 20000}
# What is only for the record: no bar.
INFORMATION = ("graphile-batched", "bullmq-redis")

# As POST /documents/upload would have stored them, one after the other.
FILL = """
INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, document_name, content_hash,
                             created_at, ready_at)
SELECT gen_random_uuid(), 'single_document', 'medium',
       jsonb_build_object('file_path', 'uploads/' || md5(i::text), 'content_type', 'text/plain',
                          'file_size', 200, 'metadata', '{"source": "bench"}'::jsonb),
       3, 'nothing.txt', encode(sha256(i::text::bytea), 'hex'), t, t
FROM generate_series(1, %(n)d) AS i, LATERAL (SELECT now() - (%(n)d - i) * interval '20 microseconds' AS t) AS at
"""


def need(program):
    if not shutil.which(program):
        raise lib.CannotMeasure("there is no %s; it runs a peer" % program)


def run(words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise lib.CannotMeasure("%s: %s" % (words[0], (done.stderr or done.stdout).strip()[-800:]))
    return done.stdout


def make_node():
    need("npm")
    out = os.path.join(MADE, "node")
    shutil.copytree(os.path.join(PEERS, "node"), out, dirs_exist_ok=True)
    if not os.path.isdir(os.path.join(out, "node_modules")):
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=out)
    return ["node", os.path.join(out, "drain.mjs")]


def make_go():
    need("go")
    out = os.path.join(MADE, "river")
    run(["go", "build", "-o", out, "."], cwd=os.path.join(PEERS, "river"))
    return [out]


def make_python():
    out = os.path.join(MADE, "venv")
    python = os.path.join(out, "bin", "python")
    if not os.access(python, os.X_OK):
        run([sys.executable, "-m", "venv", out])
    run([python, "-m", "pip", "install", "-q", "-r", os.path.join(PEERS, "celery", "requirements.txt")])
    return [python, os.path.join(PEERS, "celery", "drain.py")]


def commands(names):
    """What starts each of the peers."""
    os.makedirs(MADE, exist_ok=True)
    made = {}
    for name in names:
        if name == "river":
            made[name] = make_go()
        elif name == "celery":
            made[name] = make_python()
        else:
            made[name] = make_node() + [name]
    return made


def dropped(url, name):
    try:
        lib.psql(url, "DROP DATABASE IF EXISTS %s WITH (FORCE)" % name)
    except lib.CannotMeasure:  # only a superuser may end an autovacuum
        return False
    return True


def fresh_database(name):
    """Empty, by this name, on the run's server; its URL."""
    url = os.environ["TEST_DATABASE_URL"]
    lib.wait_until("an autovacuum left %s" % name, lambda: dropped(url, name), 60)
    lib.psql(url, "CREATE DATABASE %s" % name)
    try:
        lib.psql(url, "CHECKPOINT")
    except lib.CannotMeasure:
        pass  # for superusers only
    return url.replace("/localrag?", "/%s?" % name)


def environment(database):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TASK_", "POSTGRES_", "REDIS_"))}
    env.update(DATABASE_URL=database, REDIS_URL=os.environ["TEST_REDIS_URL"], TASK_MAX_WORKERS=str(WORKERS),
               TASK_HIGH_PRIORITY_WORKERS="0", TASK_QUEUE_NAME="bench%d" % time.monotonic_ns(),
               LOG_LEVEL="warning", DATA_PATH=os.path.join(MADE, "data"))
    return env


def check(who, figures, count, stored):
    if (figures["entries"], figures["different"], stored) != (count, count, count):
        raise lib.CannotMeasure("%s: %d jobs, %d entries of %d different ones, %d stored as ended"
                                % (who, count, figures["entries"], figures["different"], stored))


def drain_ours(count):
    database = fresh_database("ours")
    env = environment(database)
    run([NOOP, "migrate", "1"], env=env)
    lib.psql(database, FILL % {"n": count})
    lib.psql(database, "VACUUM ANALYZE processing_jobs")
    figures = json.loads(run([NOOP, "drain", str(count)], env=env))
    stored = int(lib.psql(database, "SELECT count(*) FROM processing_jobs WHERE status = 'completed' "
                                    "AND claim_epoch = 1 AND progress = 100 AND pool_id IS NULL"))
    check("ours", figures, count, stored)
    return count / figures["seconds"]


def drain_peer(name, command, count):
    env = environment(fresh_database("peer"))
    figures = json.loads(run(command + [str(count)], env=env).strip().splitlines()[-1])
    check(name, figures, count, figures["stored"])
    return count / figures["seconds"]


def bench_pickup(report):
    database = fresh_database("ours")
    env = environment(database)
    env["TASK_MAX_WORKERS"] = "4"
    figures = json.loads(run([NOOP, "pickup", str(PICKUPS)], env=env))
    stored = int(lib.psql(database, "SELECT count(*) FROM processing_jobs WHERE status = 'completed'"))
    check("ours", figures, PICKUPS, stored)
    ms = sorted(figures["ms"])
    report.at_most("submit committed to worker, p50", ms[len(ms) // 2], 2, "ms")
    report.at_most("submit committed to worker, p99", ms[len(ms) * 99 // 100], 8, "ms", worst=ms[-1])


def bench_drain(report, names):
    made = commands(names)
    ours, peers = [], {name: [] for name in names}
    for _ in range(ROUNDS):
        ours.append(drain_ours(int(OURS * SCALE)))
        for name in names:
            peers[name].append(drain_peer(name, made[name], int(JOBS[name] * SCALE)))
    report.row("ours, jobs a second", lib.median(ours), "", None, all=ours, workers=WORKERS)
    for name in names:
        rate = lib.median(peers[name])
        ratio = lib.median([o / p for o, p in zip(ours, peers[name])])
        what = "rate of that of %s" % name
        if name in INFORMATION:
            report.row(what, ratio, "", None, ours=ours, peer=peers[name])
        else:
            report.at_least(what, ratio, 1.5, ours=ours, peer=peers[name])
        lib.note("%s %.0f jobs/s" % (name, rate))


def bench(report):
    asked = sys.argv[1:] or ["pickup"] + list(JOBS)
    for name in asked:
        if name not in JOBS and name not in ("ours", "pickup"):
            raise lib.CannotMeasure("no peer \"%s\"; there are: ours, pickup, %s" % (name, ", ".join(JOBS)))
    if not os.access(NOOP, os.X_OK):
        raise lib.CannotMeasure("there is no %s; ./dev bench builds it" % NOOP)
    if "pickup" in asked:
        bench_pickup(report)
    if asked != ["pickup"]:
        bench_drain(report, [name for name in asked if name in JOBS])


if __name__ == "__main__":
    lib.main(bench)
