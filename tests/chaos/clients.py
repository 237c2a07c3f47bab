# SPDX-License-Identifier: AGPL-3.0-or-later
"""clients.py - who uses the system while it is beaten: submitters, tinkerers who cancel and retry, pollers,
watchers, and one that ingests directories. All go on until they know how each request ended: what may have been
done is sent again, uploads under the same idempotency key.
"""
import hashlib
import heapq
import os
import random
import threading
import time

import calls
import documents
from watchers import Watchers

BACKLOG = 150
BATCH_FILES = 120


class Clients:
    def __init__(self, stack, ledger, seed):
        self.stack, self.ledger, self.seed = stack, ledger, seed
        self.stop_submitting, self.stop_all = threading.Event(), threading.Event()
        self.unfinished, self.with_files, self.accepted_since = 0, 0, 0
        self.deeds, self.deeds_lock, self.deeds_busy = [], threading.Lock(), 0
        self.batch_number, self.threads = 0, []
        self.recent = []  # jobs to poll and to watch
        self.watchers = Watchers(self)

    def client(self, way, timeout=12):
        port = self.stack.port if way is calls.Rest else self.stack.grpc
        return way(port, self.ledger, timeout)

    def start(self):
        jobs = [(self.submit, (calls.Rest, i)) for i in range(5)] + [(self.submit, (calls.Grpc, 5 + i)) for i in range(2)]
        jobs += [(self.tinker, (way, i)) for i, way in enumerate((calls.Rest, calls.Rest, calls.Grpc))]
        jobs += [(self.poll, (way, i)) for i, way in enumerate((calls.Rest, calls.Grpc))]
        jobs += [(self.ingest, ()), (self.count, ())] + self.watchers.jobs()
        for target, arguments in jobs:
            t = threading.Thread(target=self.guarded, args=(target, arguments), daemon=True, name=target.__name__)
            t.start()
            self.threads.append(t)

    def guarded(self, target, arguments):
        try:
            target(*arguments)
        except Exception as e:  # noqa: BLE001 - a client that dies must not look like a quiet one
            self.ledger.violation("test", f"{target.__name__} ended: {e!r}")
            raise

    # -- uploads

    def definitely(self, ask, until=None):
        """Asks until the answer is known; (answer, doubt). Doubt 1: the server said that it could not, but its
        own question to the database may have taken effect; 2: an answer was lost, the request may be at work yet.
        Answer None: given up."""
        lost = 0
        while True:
            answer = ask()
            if answer not in (calls.LATER, calls.UNKNOWN):
                return answer, lost
            lost = max(lost, 2 if answer == calls.UNKNOWN else 1)
            self.ledger.counts[answer] += 1
            if self.stop_all.is_set() or until and until():
                return None, lost
            time.sleep(0.1)

    def submit(self, way, number):
        draw = documents.Documents(f"{self.seed}-{number}")
        dice, client, n = random.Random(f"submit {self.seed} {number}"), self.client(way), 0
        while not self.stop_submitting.is_set():
            if self.unfinished + self.accepted_since > BACKLOG:
                time.sleep(0.03)
                continue
            n += 1
            kind, name, data = draw.draw()
            priority = dice.choice(("high", "medium", "medium", "low"))
            key = f"{self.seed}-{number}-{n}"
            answer, lost = self.definitely(lambda: client.upload(name, data, key, priority))
            if answer is None:
                self.ledger.violation("test", f"upload {key} was never answered")
                continue
            if answer[0] != 202:
                self.ledger.violation("status", f"upload {key} ({kind}): {answer}")
                continue
            sha = hashlib.sha256(data).hexdigest()
            self.ledger.contents.setdefault(sha, (name, data))
            job = self.ledger.accept(answer[1]["job_id"], kind, sha)
            self.ledger.counts["uploads " + way.name] += 1
            self.ledger.counts["uploads answered late"] += lost == 2
            self.accepted_since += 1
            self.recent.append(job)
            self.think(dice, job)
        client.close()

    def think(self, dice, job):
        """What else will be done with it."""
        roll = dice.random()
        if roll < 0.05:
            self.later(dice.choice((0, 0, 0.05, 0.3, 1)), "cancel", job)
        elif documents.failure_of(job.kind) and roll < 0.4:
            self.later(3, "retry", job)

    # -- cancel and retry

    def later(self, seconds, deed, job):
        with self.deeds_lock:
            heapq.heappush(self.deeds, (time.monotonic() + seconds, id(job), deed, job))

    def take_deed(self):
        with self.deeds_lock:
            if self.deeds and self.deeds[0][0] <= time.monotonic():
                self.deeds_busy += 1
                return heapq.heappop(self.deeds)[2:]
        return None

    def tinker(self, way, number):
        dice, client = random.Random(f"tinker {self.seed} {number}"), self.client(way)
        while not self.stop_all.is_set():
            deed = self.take_deed()
            if not deed:
                time.sleep(0.02)
                continue
            try:
                (self.cancel if deed[0] == "cancel" else self.retry)(client, dice, deed[1])
            finally:
                with self.deeds_lock:
                    self.deeds_busy -= 1
        client.close()

    def cancel(self, client, dice, job):
        job.cancels += 1
        answer, lost = self.definitely(lambda: client.cancel(job.job_id))
        job.blurry = job.blurry or lost == 2
        if answer is None:
            self.ledger.violation("test", f"cancel of {job.job_id} was never answered")
        elif answer[0] == 200:
            self.ledger.counts["cancelled by clients"] += 1
            job.last = "cancelled"
            if job.retries == 0 and not job.blurry:
                self.ledger.told(job, job.final, "cancelled", "cancel")
            if dice.random() < 0.5:
                self.later(dice.choice((0, 0.1, 1)), "retry", job)
        elif answer[0] != 409:
            self.ledger.violation("status", f"cancel of {job.job_id}: {answer}")

    def retry(self, client, dice, job):
        job.retries += 1
        before, job.last = job.last, None
        answer, lost = self.definitely(lambda: client.retry(job.job_id))
        job.blurry = job.blurry or lost == 2
        if answer is None:
            self.ledger.violation("test", f"retry of {job.job_id} was never answered")
        elif answer[0] == 200:
            self.ledger.counts["retried by clients"] += 1
            if dice.random() < 0.3:
                self.later(dice.choice((0, 0.05, 0.5)), "cancel", job)
        elif answer[0] != 409:
            self.ledger.violation("status", f"retry of {job.job_id}: {answer}")
        elif before == "cancelled" and not lost and not job.blurry:
            self.ledger.violation("status", f"retry of the cancelled job {job.job_id}: {answer}")

    # -- looking

    def poll(self, way, number):
        dice, client = random.Random(f"poll {self.seed} {number}"), self.client(way, 5)
        while not self.stop_all.is_set():
            time.sleep(0.02)
            del self.recent[:-800]
            if not self.recent:
                continue
            job = dice.choice(self.recent)
            before = self.ledger.before(job)
            answer = client.job(job.job_id)
            if answer in (calls.LATER, calls.UNKNOWN):
                continue
            if answer[0] != 200:
                self.ledger.violation("lost", f"GET of accepted job {job.job_id}: {answer}")
                continue
            self.ledger.told(job, before, answer[1]["status"], f"poll {way.name}")
        client.close()

    def count(self):
        while not self.stop_all.wait(0.4):
            accepted = self.accepted_since
            got = self.stack.sql("SELECT count(*) FILTER (WHERE ready_at < 'infinity'), count(*) FROM processing_jobs "
                                 "WHERE status IN ('pending', 'retrying', 'processing')", check=False)
            if got:
                self.unfinished, self.with_files = map(int, got[0])
                self.accepted_since -= accepted

    # -- directories

    def ingest(self):
        dice, client = random.Random(f"ingest {self.seed}"), self.client(calls.Rest)
        draw = documents.Documents(f"{self.seed}-dir")
        while not self.stop_submitting.wait(dice.choice((5, 8))):
            if self.with_files > 2 * BACKLOG:
                continue
            self.batch_number += 1
            folder = os.path.join(self.stack.inbox, f"batch-{self.seed}-{self.batch_number}")
            os.mkdir(folder)
            for _ in range(BATCH_FILES):
                kind, name, data = draw.draw()
                sha = hashlib.sha256(data).hexdigest()
                self.ledger.contents.setdefault(sha, (name, data))
                self.ledger.directories[os.path.join(folder, name)] = (kind, sha)
                with open(os.path.join(folder, name), "wb") as f:
                    f.write(data)
            answer, lost = self.definitely(lambda: client.ingest(folder))
            if answer is None or answer[0] != 202:
                self.ledger.violation("status", f"ingest of {folder}: {answer}")
                continue
            job = self.ledger.accept(answer[1]["job_id"], "batch", "")
            self.ledger.batches[folder] = (job, lost > 0)
            self.recent.append(job)
            if dice.random() < 0.2:
                self.later(dice.choice((0, 0.5, 2)), "cancel", job)
        client.close()

    # -- the end of a round

    def quiet_clients(self, seconds):
        """No more uploads, all deeds done. False: not in time."""
        self.stop_submitting.set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.deeds_lock:
                busy = self.deeds_busy or self.deeds
            alive = [t for t in self.threads if t.name in ("submit", "ingest") and t.is_alive()]
            if not busy and not alive:
                return True
            time.sleep(0.05)
        return False

    def stop(self):
        self.stop_submitting.set()
        self.stop_all.set()
        for t in self.threads:
            t.join(30)
            if t.is_alive():
                self.ledger.violation("test", f"client {t.name} did not end")
