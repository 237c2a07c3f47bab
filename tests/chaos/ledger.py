# SPDX-License-Identifier: AGPL-3.0-or-later
"""ledger.py - what the clients know: which jobs were accepted, what was asked of them, what was seen.

Everything a client is told is written down here and compared at once with what it was told before; checks.py
compares it with the rows once a round is quiet. A broken promise is a violation and never stops the run.
"""
import collections
import threading

TERMINAL = ("completed", "failed", "cancelled")


class Job:
    __slots__ = ("job_id", "kind", "sha", "last", "cancels", "retries", "blurry", "final", "event_id", "parent")

    def __init__(self, job_id, kind, sha, parent=None):
        self.job_id, self.kind, self.sha, self.parent = job_id, kind, sha, parent
        self.last = None  # "cancelled" once a cancel was answered and no retry was sent since
        self.cancels = self.retries = 0  # requests sent that may have taken effect
        self.blurry = False  # a request whose answer was lost may take effect at any time
        self.final = None  # the terminal state seen last, with the number of retries sent then
        self.event_id = ""


class Ledger:
    def __init__(self):
        self.jobs, self.batches, self.directories = {}, {}, {}
        self.lock = threading.Lock()
        self.violations, self.faults = [], []
        self.counts = collections.Counter()
        self.contents = {}  # sha -> (file name, bytes) for the quiet run

    def violation(self, kind, text):
        with self.lock:
            if (kind, text) in self.violations:
                return  # the same as after an earlier round
            self.counts["violations"] += 1
            self.violations.append((kind, text))
            if self.counts["violations"] <= 40:
                print(f"VIOLATION {kind}: {text}", flush=True)

    def accept(self, job_id, kind, sha):
        with self.lock:
            known = self.jobs.get(job_id)
            if not known:
                self.jobs[job_id] = Job(job_id, kind, sha)
        if known:
            self.violation("double", f"job {job_id} was given to two uploads")
        return self.jobs[job_id]

    def before(self, job):
        """To be taken before a question is sent, and given to `told` with its answer."""
        return job.final

    def told(self, job, before, status, who):
        """Somebody was told that the job is in that state; `before` was known before it was asked."""
        self.counts["observations"] += 1
        if before:
            was, retries = before
            if was == "completed" and status != "completed":
                self.violation("backwards", f"{who}: job {job.job_id} was completed, now {status}")
            elif status != was and job.retries == retries == 0 and not job.parent:
                self.violation("backwards", f"{who}: job {job.job_id} was {was}, now {status}, nobody retried it")
        if status in TERMINAL:
            job.final = (status, job.retries)

    def event(self, job, last_id, event_id, status, who, before):
        """An event of a stream: ids of one job never fall (progress of one percent comes more than once, and a
        change may be told twice, with the same id). Returns the id."""
        if event_id < last_id:
            self.violation("backwards", f"{who}: job {job.job_id}: event {event_id} after {last_id}")
        self.told(job, before, status, who)
        return event_id

    def struck(self, fault):
        with self.lock:
            self.faults.append(fault)
