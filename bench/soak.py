#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""soak.py - everything at once for half an hour, and nothing may grow.

Clients upload over REST and over gRPC (the command line), watch, read, cancel, retry, reprocess and delete;
scans are recognised, bad files fail, lists and statistics are asked for. What is finished is removed
after a minute, so the amount of data stays the same from then on. Every few seconds the memory (PSS) and
open files of server, worker and zygote are read, rows dead and living of every table, keys and memory of
Redis, connections to both. The first third is for warming up; a line is fitted to the rest, and what it
rises by must stay below: memory 5 % and 1 MB, files 2 % and 2, Redis 5 % and 200 kB, keys and connections 2.
Dead rows: less than twice the living, small tables (below 500 rows) less than a thousand; the mean of the rest.

    soak.py [MINUTES]     default 30
"""
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time

import lib

EVERY, RETENTION = 3, 60
TABLES = ("processing_jobs", "documents", "document_pages", "chunks", "worker_pools", "workers", "job_ends",
          "job_statistics")


class Load:
    """Clients of a Stack, each a thread that does its work again and again."""

    def __init__(self, stack):
        self.stack, self.ending = stack, threading.Event()
        self.done, self.failure, self.lock = {}, None, threading.Lock()
        self.files = {n: lib.read(os.path.join(lib.ROOT, "tests", "data", n))
                      for n in ("text.pdf", "scan.pdf", "mixed.pdf", "utf8.txt", "encrypted.pdf")}
        self.threads = [threading.Thread(target=self.again, args=(work,)) for work in (
            self.text, self.text, self.scan, self.fickle, self.broken, self.command_line, self.lists, self.reread)]

    def start(self):
        for t in self.threads:
            t.start()

    def end(self):
        self.ending.set()
        for t in self.threads:
            t.join()

    def again(self, work):
        while not self.ending.is_set():
            try:
                work()
            except Exception as e:  # pylint: disable=broad-except
                self.failure = self.failure or "%s: %r" % (work.__name__, e)
                self.ending.set()
            with self.lock:
                self.done[work.__name__] = self.done.get(work.__name__, 0) + 1
            self.ending.wait(random.random() * 0.2)

    def call(self, method, path, allowed=(200,)):
        c = self.stack.connect()
        with contextlib.closing(c):
            c.request(method, path, headers={"Content-Length": "0"})
            r = c.getresponse()
            body = json.loads(r.read() or b"null")
        if r.status not in allowed:
            raise lib.CannotMeasure("%s %s answered %d: %s" % (method, path, r.status, body))
        return body

    def upload(self, name):
        return self.stack.upload(name, lib.fresh(self.files[name]))

    def forget(self, job):
        """Reads what came of it, then deletes it."""
        document = job["document_id"] if "document_id" in job else job["result"]["document_id"]
        self.call("GET", "/api/v1/documents/%s/pages?text=true" % document)
        self.call("GET", "/api/v1/documents/%s/chunks" % document)
        self.call("DELETE", "/api/v1/documents/%s" % document)

    def finish(self, job_id, wanted="completed"):
        job, _ = self.stack.wait(job_id)
        if job["status"] != wanted:
            raise lib.CannotMeasure("job %s ended %s: %s" % (job_id, job["status"], job.get("error_message")))
        return job

    # -- the clients

    def text(self):
        self.forget(self.finish(self.upload(random.choice(("text.pdf", "mixed.pdf")))))

    def scan(self):
        self.forget(self.finish(self.upload("scan.pdf")))

    def fickle(self):
        """Cancels, thinks again."""
        job = self.upload("scan.pdf")
        self.call("POST", "/api/v1/jobs/%s/cancel" % job, (200, 409))
        ended, _ = self.stack.wait(job)
        if ended["status"] == "cancelled":
            self.call("POST", "/api/v1/jobs/%s/retry" % job)
            ended = self.finish(job)
        self.forget(ended)

    def broken(self):
        job = self.upload("encrypted.pdf")
        self.finish(job, "failed")
        self.call("POST", "/api/v1/jobs/%s/retry" % job)
        self.finish(job, "failed")

    def reread(self):
        job = self.finish(self.upload("text.pdf"))
        again = self.call("POST", "/api/v1/documents/%s/reprocess" % job["document_id"], (200, 202))
        self.finish(again["job_id"])
        self.forget(job)

    def command_line(self):
        path = os.path.join(self.stack.spare, "soak.txt")
        with open(path, "wb") as f:
            f.write(self.files["utf8.txt"] + b"%032x\n" % random.getrandbits(128))
        done = subprocess.run([os.path.join(lib.BIN, "localrag"), "--server", "127.0.0.1:%d" % self.stack.grpc_port,
                               "--json", "-q", "upload", path], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise lib.CannotMeasure("localrag upload: " + done.stderr.strip())
        self.forget(json.loads(done.stdout.strip().splitlines()[-1]))

    def lists(self):
        for path in ("jobs?limit=50", "jobs?status=completed&offset=20", "jobs?task_type=document_reprocess",
                     "jobs/statistics", "documents", "health", "health/workers", "workers"):
            self.call("GET", "/api/v1/" + path)
        self.call("DELETE", "/api/v1/jobs/cleanup?days_old=1")


def sample(stack):
    """Everything that must not grow, by name."""
    pids = {"server": stack.server.pid, "worker": stack.worker(), "zygote": stack.zygote()}
    if not all(pids.values()):
        raise lib.CannotMeasure("a process is gone: %s" % pids)
    now = {"pids": pids}
    for name, pid in pids.items():
        now[name + " memory"] = lib.kilobytes(pid, "smaps_rollup", "Pss")
        now[name + " files"] = len(os.listdir("/proc/%d/fd" % pid))
    for table, live, dead in stack.sql("SELECT relname, n_live_tup, n_dead_tup FROM pg_stat_user_tables"):
        now["rows " + table] = (int(live), int(dead))
    now["PostgreSQL connections"] = int(stack.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")[0][0])
    info = dict(line.split(":", 1) for line in lib.redis("INFO").splitlines() if ":" in line)
    now["Redis keys"] = int(lib.redis("DBSIZE").split()[-1])
    now["Redis memory"] = int(info["used_memory"])
    now["Redis connections"] = int(info["connected_clients"])
    return now


def rise(times, values):
    """What the fitted line rises by from the first time to the last."""
    n, mt, mv = len(times), sum(times) / len(times), sum(values) / len(values)
    spread = sum((t - mt) ** 2 for t in times)
    if n < 3 or not spread:
        raise lib.CannotMeasure("too few samples")
    return sum((t - mt) * (v - mv) for t, v in zip(times, values)) / spread * (times[-1] - times[0])


def judge(report, times, samples):
    tolerances = (("memory", 0.05, 1 << 20), ("files", 0.02, 2), ("keys", 0, 2), ("connections", 0, 2))
    for name in samples[0]:
        if name.startswith("rows ") or name == "pids":
            continue
        share, more = next((s, m) for word, s, m in tolerances if name.endswith(word))
        values = [s[name] for s in samples]
        mean = sum(values) / len(values)
        more = 200000 if name == "Redis memory" else more
        scale, unit = (1e6, "MB") if name.endswith("memory") else (1, "")
        report.at_most("%s: rise" % name, rise(times, values) / scale, (mean * share + more) / scale, unit,
                       mean=mean / scale, first=values[0] / scale, last=values[-1] / scale)
    for table in TABLES:
        live, dead = ([s["rows " + table][i] for s in samples] for i in (0, 1))
        live, dead = sum(live) / len(live), sum(dead) / len(dead)
        report.below("dead rows of %s" % table, dead, 2 * live if live >= 500 else 1000, "", live=live)


def bench(report):
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30
    with lib.Stack(TASK_JOB_RETENTION=RETENTION, LOG_LEVEL="error") as stack:
        load = Load(stack)
        began, times, samples = time.monotonic(), [], []
        load.start()
        try:
            while time.monotonic() - began < minutes * 60 and not load.ending.wait(EVERY):
                samples.append(sample(stack))
                times.append(time.monotonic() - began)
        finally:
            load.end()
        if load.failure:
            raise lib.CannotMeasure(load.failure)
        lib.note("rounds of each client: " + ", ".join("%s %d" % d for d in sorted(load.done.items())))
        if any(s["pids"] != samples[0]["pids"] for s in samples):
            raise lib.CannotMeasure("a process was replaced")
        rest = len(samples) // 3
        report.row("rounds of all clients", sum(load.done.values()), "", None, each=load.done)
        judge(report, times[rest:], samples[rest:])


if __name__ == "__main__":
    lib.main(bench)
