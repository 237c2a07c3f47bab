#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""watchers.py - a change of state is seen by a thousand watchers.

A hundred jobs wait, ten watchers follow each over Server-Sent Events. Jobs are cancelled one after the
other: from the cancel request sent (so all of the call counts) to the event read by each watcher. Then as
many again that workers really read, all at once: every watcher must get the terminal event. One thread
reads all streams; its own work on the events before counts too.
"""
import json
import selectors
import socket
import time

import lib

JOBS, WATCHERS = 100, 10


class Streams:
    def __init__(self, stack):
        self.stack, self.selector = stack, selectors.DefaultSelector()
        self.open, self.asked = [], {}

    def watch(self, job_id):
        s = socket.create_connection(("127.0.0.1", self.stack.port), timeout=60)
        s.sendall(("GET /api/v1/jobs/%s/events HTTP/1.1\r\nHost: localhost\r\n\r\n" % job_id).encode())
        s.setblocking(False)
        stream = {"socket": s, "job": job_id, "text": b"", "seen": 0, "ended": None, "state": None}
        self.open.append(stream)
        self.selector.register(s, selectors.EVENT_READ, stream)

    def call(self, method, path):
        """Sends a request, reads its answer with the rest."""
        s = socket.create_connection(("127.0.0.1", self.stack.port), timeout=60)
        s.setblocking(False)
        call = {"socket": s, "job": None, "text": b""}
        self.selector.register(s, selectors.EVENT_READ, call)
        began = time.monotonic()
        s.sendall(("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                   % (method, path)).encode())
        return began, call

    def read(self, seconds):
        for key, _ in self.selector.select(seconds):
            stream = key.data
            try:
                data = stream["socket"].recv(1 << 16)
            except ConnectionError:
                data = b""
            when, wall = time.monotonic(), time.time()
            stream["text"] += data
            if not data:
                self.selector.unregister(stream["socket"])
                stream["socket"].close()
                stream["closed"] = True
            if stream["job"]:
                self.events(stream, when, wall)

    @staticmethod
    def events(stream, when, wall):
        blocks = stream["text"].split(b"\n\n")
        stream["text"] = blocks.pop()
        for block in blocks:
            if b"\ndata: " not in block:
                continue
            stream["seen"] += 1
            job = json.loads(block[block.index(b"\ndata: ") + 7:].split(b"\r\n")[0].split(b"\n")[0])
            stream["state"] = job["status"]
            if job["status"] in lib.ENDED:
                stream["ended"], stream["wall"], stream["last"] = when, wall, job

    def until(self, what, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise lib.CannotMeasure("waited %g s in vain until %s" % (seconds, what))
            self.read(0.05)

    def close(self):
        for stream in self.open:
            stream["socket"].close()


def watched(stack):
    jobs = [stack.upload("note%d.txt" % i, b"%032x\n" % lib.random.getrandbits(128)) for i in range(JOBS)]
    streams = Streams(stack)
    for job in jobs:
        for _ in range(WATCHERS):
            streams.watch(job)
    streams.until("every watcher has seen its job", lambda: all(s["seen"] for s in streams.open), 60)
    return jobs, streams


def at(values, percent):
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def cancelled(report, stack):
    jobs, streams = watched(stack)
    took = []
    for job in jobs:
        began, call = streams.call("POST", "/api/v1/jobs/%s/cancel" % job)
        mine = [s for s in streams.open if s["job"] == job]
        streams.until("a cancelled job is seen", lambda: all(s["ended"] for s in mine) and "closed" in call, 10)
        took += [(s["ended"] - began) * 1000 for s in mine]
        until = time.monotonic() + 0.02
        while time.monotonic() < until:
            streams.read(0.005)
    report.at_most("cancel to screen, %d watchers, p50" % len(took), at(took, 50), 5, "ms")
    report.at_most("cancel to screen, p99", at(took, 99), 50, "ms", max=max(took))
    streams.close()


def completed(report, stack):
    jobs, streams = watched(stack)
    stack.post("/api/v1/workers/start")
    began = time.monotonic()
    end = began + 60
    while time.monotonic() < end and not all(s["ended"] for s in streams.open):
        streams.read(0.05)
    seconds = time.monotonic() - began
    lost = sum(not s["ended"] for s in streams.open)
    states = {row[0] for row in stack.sql("SELECT DISTINCT status FROM processing_jobs WHERE status <> 'cancelled'")}
    if states != {"completed"}:
        raise lib.CannotMeasure("of %d jobs some are not completed: %s" % (len(jobs), states))
    report.at_most("terminal events lost, of %d" % len(streams.open), lost, 0)
    late = [(s["wall"] - time_of(s["last"]["completed_at"])) * 1000 for s in streams.open if s["ended"]]
    report.row("end of transaction begun to screen, p50", at(late, 50), "", None, "ms", p99=at(late, 99))
    lib.note("p99 %.1f ms; %d jobs in %.1f s with the workers busy" % (at(late, 99), len(jobs), seconds))
    streams.close()


def time_of(text):
    return lib.datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def bench(report):
    with lib.Stack() as stack:
        stack.post("/api/v1/workers/stop")
        cancelled(report, stack)
        completed(report, stack)


lib.main(bench)
