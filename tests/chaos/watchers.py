# SPDX-License-Identifier: AGPL-3.0-or-later
"""watchers.py - clients that watch jobs: Server-Sent Events and WatchJob for one, WatchJobs for all.

A stream that breaks is taken up again behind the last event. Ids of one job grow, no terminal state is left, and
every watch of a job that ended has seen its end.
"""
import http.client
import importlib
import json
import random
import time

import calls
from ledger import TERMINAL

LONG = 90  # seconds a watched job may take to be told as ended once all is quiet


class Watchers:
    def __init__(self, clients):
        self.clients, self.ledger, self.stack = clients, clients.ledger, clients.stack

    def jobs(self):
        return [(self.watch, (i,)) for i in range(4)] + [(self.watch_grpc, (9,)), (self.watch_all, ())]

    def pick(self, dice):
        """One of the last accepted jobs, which has probably not ended."""
        recent = self.clients.recent
        if not recent:
            time.sleep(0.05)
            return None
        return recent[-1 - dice.randrange(min(len(recent), 60))]

    def watch(self, number):
        dice = random.Random(f"watch {self.clients.seed} {number}")
        while not self.clients.stop_submitting.is_set():
            job = self.pick(dice)
            if job:
                self.watch_one(job, self.sse, "events")

    def watch_grpc(self, number):
        dice = random.Random(f"watch {self.clients.seed} {number}")
        client = self.clients.client(calls.Grpc)
        while not self.clients.stop_submitting.is_set():
            job = self.pick(dice)
            if job:
                self.watch_one(job, lambda j, last: self.grpc(client, j, last), "WatchJob")
        client.close()

    def watch_one(self, job, stream, who):
        """Until it has ended, over as many streams as it takes."""
        last, end = "", 0
        while True:
            try:
                for event_id, status, before in stream(job, last):
                    if not event_id:  # 204: it ended with the last event
                        self.ledger.counts["watches"] += 1
                        return
                    last = self.ledger.event(job, last, event_id, status, who, before)
                    if status in TERMINAL:
                        self.ledger.counts["watches"] += 1
                        return
            except (OSError, http.client.HTTPException, ValueError):
                self.ledger.counts["streams broken"] += 1
            if self.clients.stop_all.is_set():
                end = end or time.monotonic() + LONG
                if time.monotonic() > end:
                    self.ledger.violation("stuck", f"{who}: the end of job {job.job_id} was never told")
                    return
            time.sleep(0.1)

    def sse(self, job, last):
        c = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=20)
        before = self.ledger.before(job)
        try:
            c.request("GET", f"/api/v1/jobs/{job.job_id}/events", headers={"Last-Event-ID": last} if last else {})
            r = c.getresponse()
            if r.status == 204 and last:
                yield None, None, None
                return
            if r.status in (429, 503, 504):
                return
            if r.status != 200:
                self.ledger.violation("lost", f"events of accepted job {job.job_id}: {r.status} {r.read()[:200]}")
                return
            event_id = None
            while line := r.readline():
                if line.startswith(b"id:"):
                    event_id = line[3:].strip().decode()
                elif line.startswith(b"data:") and event_id:
                    yield event_id, json.loads(line[5:])["status"], before
        finally:
            c.close()

    def grpc(self, client, job, last):
        before = self.ledger.before(job)
        stream = client.jobs.WatchJob(client.job_pb.WatchJobRequest(job_id=job.job_id, last_event_id=last), timeout=60)
        try:
            for event in stream:
                yield event.event_id, client.status_name(event.job.status), before
            if last:  # ended without an event: the last one was the end
                yield None, None, None
        except client.grpc.RpcError as e:
            if e.code().name not in ("UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"):
                self.ledger.violation("lost", f"WatchJob of {job.job_id}: {e.code().name} {e.details()}")
            raise OSError(e.details()) from e
        finally:
            stream.cancel()

    def watch_all(self):
        """The stream of all jobs: whatever comes, ids of one job grow within a stream."""
        client = self.clients.client(calls.Grpc)
        importlib.import_module("localrag.v1.job_pb2")
        while not self.clients.stop_all.is_set():
            last = {}
            stream = client.jobs.WatchJobs(client.job_pb.WatchJobsRequest(include_children=True), timeout=10)
            try:
                for event in stream:
                    job_id = event.job.job_id
                    if event.event_id < last.get(job_id, ""):
                        self.ledger.violation("backwards", f"WatchJobs: job {job_id}: {event.event_id} after {last[job_id]}")
                    last[job_id] = event.event_id
                    self.ledger.counts["observations"] += 1
            except client.grpc.RpcError:
                time.sleep(0.1)
            finally:
                stream.cancel()
        client.close()
