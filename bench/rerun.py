#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""rerun.py - a worker dies: how long until its job runs again.

On the same host: kill -9 of the worker process that the server supervises. Of another host: a pool and
everything below it is stopped (SIGSTOP), so that its connections stay open and nothing is heard of it, as
when a host's network is gone; only the end of its lease heals that, and a second pool takes over. From
the kill to the first answer of GET /jobs/ID that shows a new attempt, asked every 5 ms.

usage: bench/rerun.py [TRIALS [HOST_TRIALS]]
"""
import contextlib
import os
import signal
import subprocess
import sys
import time

import lib

WELL = 6  # seconds: a worker that lived so long is started again at once


def document():
    path = lib.corpus("scans", "fax200.pdf", needed=False) or os.path.join(lib.ROOT, "tests", "data", "scans.pdf")
    return lib.fresh(lib.read(path))


def running(stack, job_id, but=None):
    """When its attempt began, if it is another one than `but`."""
    job = stack.get("/api/v1/jobs/" + job_id)
    if job["status"] in lib.ENDED:
        raise lib.CannotMeasure("the job ended %s: %s" % (job["status"], job["error_message"]))
    return job["status"] == "processing" and job["started_at"] != but and job["started_at"]


def again(stack, job_id, kill, seconds):
    began = lib.wait_until("the job runs", lambda: running(stack, job_id), 60)
    kill()
    killed = time.monotonic()
    lib.wait_until("it runs again", lambda: running(stack, job_id, began), seconds, 0.005)
    took = time.monotonic() - killed
    job = stack.get("/api/v1/jobs/" + job_id)
    stack.post("/api/v1/jobs/%s/cancel" % job_id)
    if job["retry_count"]:
        raise lib.CannotMeasure("a retry was spent")
    return took


def supervised(stack):
    worker = lib.wait_until("a worker lives", stack.worker, 60)
    lib.wait_until("it is healthy", stack.healthy, 60)
    age = lambda: time.clock_gettime(time.CLOCK_BOOTTIME) - int(lib.stat_of(worker)[1][19]) / os.sysconf("SC_CLK_TCK")
    lib.wait_until("it has lived well", lambda: age() > WELL, 60)
    return again(stack, stack.upload("scan.pdf", document()), lambda: os.kill(worker, signal.SIGKILL), 60)


class Hosts:
    """Two pools of workers that nobody supervises."""

    def __init__(self, stack):
        self.stack, self.pools = stack, []

    def __enter__(self):
        self.fill()
        return self

    def fill(self):
        while len(self.pools) < 2:
            self.pools.append(self.stack.program("localrag-worker", TASK_MAX_WORKERS=2))
        pids = {p.pid for p in self.pools}
        lib.wait_until("both pools work", lambda: pids == {w["pid"] for w in self.workers() if w["is_running"]}, 60)

    def workers(self):
        return self.stack.get("/api/v1/workers")["workers"]

    def owner(self, job_id):
        """By the job's row: workers say only every other second what they do."""
        job = self.stack.get("/api/v1/jobs/" + job_id)
        if job["status"] != "processing":
            return 0
        return next((w["pid"] for w in self.workers() if w["pool_worker_id"] == job["worker_id"]), 0)

    def stop(self, pid):
        self.stopped = lib.tree(pid)
        self.signal(signal.SIGSTOP)

    def signal(self, which):
        for one in self.stopped:
            with contextlib.suppress(ProcessLookupError):  # a reader that had just read its last page
                os.kill(one, which)

    def drop(self, pid):
        self.signal(signal.SIGKILL)
        next(p for p in self.pools if p.pid == pid).wait()
        self.pools = [p for p in self.pools if p.pid != pid]

    def __exit__(self, *error):
        for pool in self.pools:
            pool.terminate()
        for pool in self.pools:
            try:
                pool.wait(20)
            except subprocess.TimeoutExpired:
                pool.kill()
                pool.wait()


def lost_host(stack, hosts):
    hosts.fill()
    job_id = stack.upload("scan.pdf", document())
    pid = lib.wait_until("a pool has the job", lambda: hosts.owner(job_id), 60)
    took = again(stack, job_id, lambda: hosts.stop(pid), 60)
    hosts.drop(pid)
    return took


def show(report, what, took, limit):
    lib.note("p50 %.2f, p99 %.2f, max %.2f s of %d" % (lib.median(took), lib.percentile(took, 99), max(took), len(took)))
    report.at_most(what, max(took), limit, "s (max)", p50=lib.median(took), p99=lib.percentile(took, 99), trials=took)


def bench(report):
    trials, host_trials = ([int(a) for a in sys.argv[1:]] + [20, 5][len(sys.argv) - 1:])[:2]
    if trials:
        with lib.Stack(TASK_MAX_WORKERS=2) as stack:
            show(report, "worker killed, same host", [supervised(stack) for _ in range(trials)], 2)
    if host_trials:
        with lib.Stack(TASK_MAX_WORKERS=0) as stack, Hosts(stack) as hosts:
            show(report, "host lost", [lost_host(stack, hosts) for _ in range(host_trials)], 12)


lib.main(bench)
