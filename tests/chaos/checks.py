# SPDX-License-Identifier: AGPL-3.0-or-later
"""checks.py - the promises, held against the rows once a round is quiet: what the database wrote down about every
job (audit.sql), what the clients know (ledger.py), and what may not be left over anywhere.
"""
import collections
import os
import re
import time

import procs
from documents import failure_of
from ledger import TERMINAL

CRASH = re.compile(r"killed by signal (?!9\b)\d+|AddressSanitizer|runtime error:|LeakSanitizer|\"level\":\"error\"|"
                   r"PANIC:|corrupt")
STUCK = 60  # seconds in which no job ends: what is left then is stuck
LEGAL = {("", "pending"), ("pending", "processing"), ("processing", "completed"), ("processing", "retrying"),
         ("retrying", "processing"), ("processing", "failed"), ("processing", "pending"), ("pending", "cancelled"),
         ("retrying", "cancelled"), ("processing", "cancelled"), ("failed", "pending"), ("cancelled", "pending")}


class Checks:
    def __init__(self, stack, ledger):
        self.stack, self.ledger, self.bad = stack, ledger, ledger.violation
        self.read = collections.Counter()  # bytes of each log that were looked at

    def settle(self):
        """Waits until all is up again and no job is unfinished; when none ends any more, the rest is stuck."""
        procs.wait_until("the server is healthy again", self.stack.healthy, 60, 0.2)
        query = ("SELECT job_id, status, task_type, ready_at, claim_epoch, crash_count, retry_count, pool_id, now() "
                 "FROM processing_jobs WHERE status IN ('pending', 'retrying', 'processing')")
        told = moved = time.monotonic()
        fewest = None
        while True:
            left = self.stack.sql(query, check=False)
            if left and (fewest is None or len(left) < fewest):
                fewest, moved = len(left), time.monotonic()
            if left == [] or time.monotonic() > moved + STUCK:
                break
            if left and time.monotonic() > told + 15:
                told = time.monotonic()
                print(f"    {len(left)} unfinished, {sum(r[1] == 'processing' for r in left)} processing, "
                      f"{sum(r[5] != '0' for r in left)} with a crash behind them, as {left[0]}", flush=True)
            time.sleep(0.3)
        for row in left or ():
            self.bad("stuck", f"job {row}")

    def all(self):
        self.accepted()
        self.batches()
        self.moves()
        self.rows()
        self.files()
        self.keys()
        self.processes()
        self.logs()

    # -- every accepted job

    def accepted(self):
        rows = {r[0]: r[1:] for r in self.stack.sql(
            "SELECT job_id, status, coalesce(content_hash, ''), task_type, coalesce(error_code, ''), crash_count, "
            "coalesce(document_id::text, ''), coalesce(result->>'duplicate_of', '') "
            "FROM processing_jobs WHERE parent_job_id IS NULL AND task_type <> 'maintenance'")}
        for job in list(self.ledger.jobs.values()):
            row = rows.pop(job.job_id, None)
            if not row:
                self.bad("lost", f"job {job.job_id} was accepted and has no row")
            elif job.kind != "batch":
                self.ended(job, *row)
            elif row[0] not in TERMINAL:
                self.bad("stuck", f"batch {job.job_id} is {row[0]}")
        lost_answers = sum(lost for _, lost in self.ledger.batches.values())
        for job_id, row in rows.items():
            if row[2] == "directory_batch" and lost_answers:
                continue  # an ingest whose answer was lost and that was sent again
            self.bad("double", f"job {job_id} ({row[0]}) is nobody's")

    def ended(self, job, status, sha, _, error, crashes, document, duplicate):
        wanted = failure_of(job.kind)
        if sha != job.sha:
            self.bad("content", f"job {job.job_id} has the hash {sha}, sent was {job.sha}")
        if job.last == "cancelled" and not job.blurry:
            if status != "cancelled":
                self.bad("backwards", f"job {job.job_id} was cancelled for good, now {status}")
        elif status == "cancelled":
            if not job.cancels:
                self.bad("double", f"job {job.job_id} is cancelled, nobody asked for it")
        elif status == "failed" and error == "WORKER_CRASHED" and crashes == "3":
            self.ledger.counts["failed after three crashes"] += 1
        elif (status, error) != (("failed", wanted) if wanted else ("completed", "")):
            self.bad("wrong end", f"job {job.job_id} ({job.kind}) is {status} {error}")
        if job.final and job.final[0] == "completed" and status != "completed":
            self.bad("backwards", f"job {job.job_id} was seen completed, now {status}")
        if status == "completed" and not document:
            self.bad("lost", f"job {job.job_id} is completed without a document")

    def batches(self):
        for row in self.stack.sql(
                "SELECT p.job_id, p.status, p.result->>'total_files', p.result->>'successful', p.result->>'failed', "
                "p.result->>'skipped', p.result->>'cancelled', count(c.*), "
                "count(c.*) FILTER (WHERE c.status = 'completed' AND c.result->>'duplicate_of' IS NULL), "
                "count(c.*) FILTER (WHERE c.status = 'completed'), count(c.*) FILTER (WHERE c.status = 'failed'), "
                "count(c.*) FILTER (WHERE c.status = 'cancelled') "
                "FROM processing_jobs p LEFT JOIN processing_jobs c ON c.parent_job_id = p.job_id "
                "WHERE p.task_type = 'directory_batch' GROUP BY p.job_id, p.status, p.result"):
            if row[1] != "completed":
                continue
            total, good, failed, skipped, cancelled, children, _, completed, broken, stopped = map(int, row[2:])
            if (total, good + skipped, failed, cancelled) != (children, completed, broken, stopped):
                self.bad("batch", f"{row[0]} says {row[2:7]}, its files {row[7:]}")
        for row in self.stack.sql(
                "SELECT c.job_id, c.parent_path, c.status, coalesce(c.error_code, ''), c.crash_count, "
                "coalesce(p.payload->>'directory_path', ''), p.status FROM processing_jobs c "
                "JOIN processing_jobs p ON p.job_id = c.parent_job_id"):
            known = self.ledger.directories.get(os.path.join(row[5], row[1])) or self.ledger.directories.get(row[1])
            if not known:
                self.bad("batch", f"file {row} is nobody's")
                continue
            wanted = failure_of(known[0])
            if row[2] == "cancelled" and row[6] == "cancelled":
                continue
            if row[2] == "failed" and row[3] == "WORKER_CRASHED" and row[4] == "3":
                self.ledger.counts["failed after three crashes"] += 1
            elif (row[2], row[3]) != (("failed", wanted) if wanted else ("completed", "")):
                self.bad("wrong end", f"file {row} ({known[0]})")

    # -- what the database wrote down

    def moves(self):
        sql = self.stack.sql
        for old, new, n in sql("SELECT coalesce(old, ''), coalesce(new, ''), count(*) FROM audit.moves "
                               "WHERE old IS DISTINCT FROM new GROUP BY 1, 2"):
            if (old, new) not in LEGAL:
                self.bad("illegal move", f"{n} times {old} -> {new}")
        for row in sql("SELECT job_id, n, old, new, old_epoch, epoch FROM audit.moves WHERE epoch <> old_epoch + "
                       "(CASE WHEN new = 'processing' AND old <> 'processing' THEN 1 ELSE 0 END)"):
            self.bad("fence", f"claim_epoch {row}")
        for row in sql("SELECT job_id, count(*) FROM audit.moves WHERE new = 'completed' AND old <> 'completed' "
                       "GROUP BY 1 HAVING count(*) > 1"):
            self.bad("double", f"job {row[0]} completed {row[1]} times")
        for row in sql("SELECT job_id, count(*) FROM audit.effects GROUP BY 1 HAVING count(*) > 1"):
            self.bad("double", f"job {row[0]} made its pages visible {row[1]} times")
        for row in sql("SELECT e.job_id, j.status FROM audit.effects e LEFT JOIN processing_jobs j USING (job_id) "
                       "WHERE j.status IS DISTINCT FROM 'completed'"):
            self.bad("double", f"job {row[0]} has a document and is {row[1]}")
        for row in sql("SELECT job_id, page, status, who, claimer FROM audit.strays"):
            self.bad("fence", f"page {row[1]} of job {row[0]}, {row[2]}, was stored by {row[3]}, {row[4]} had claimed it")
        for row in sql("SELECT m.job_id, m.new, m.who, c.who FROM audit.moves m JOIN processing_jobs j USING (job_id), "
                       "LATERAL (SELECT who FROM audit.moves c WHERE c.job_id = m.job_id AND c.n < m.n "
                       "AND c.new = 'processing' AND c.old <> 'processing' ORDER BY c.n DESC LIMIT 1) c "
                       "WHERE m.old = 'processing' AND j.task_type = 'single_document' AND c.who <> m.who "
                       "AND (m.new IN ('completed', 'retrying') OR m.new = 'failed' AND m.error_code <> 'WORKER_CRASHED')"):
            self.bad("fence", f"job {row[0]} was {row[1]} by {row[2]}, {row[3]} had claimed it")
        for row in sql("SELECT m.error_code, count(*), min(m.job_id::text) FROM audit.moves m "
                       "WHERE m.new = 'retrying' AND m.old <> 'retrying' GROUP BY 1"):
            self.bad("retry spent", f"{row[1]} attempts on {row[0]}, as job {row[2]}")
        for job_id, n in sql("SELECT job_id, count(*) FROM audit.moves WHERE old IN ('failed', 'cancelled') "
                             "AND new = 'pending' GROUP BY 1"):
            job = self.ledger.jobs.get(job_id)
            if not job or int(n) > job.retries:
                if job or not self.of_retried_batch(job_id):
                    self.bad("resurrected", f"job {job_id} {n} times, retries sent: {job.retries if job else 0}")

    def of_retried_batch(self, job_id):
        parent = self.stack.sql(f"SELECT parent_job_id FROM processing_jobs WHERE job_id = '{job_id}'")
        batch = self.ledger.jobs.get(parent[0][0]) if parent else None
        return batch and batch.retries

    # -- what may not be left over

    def rows(self):
        for what, query in (
                ("page of no job or document", "SELECT revision_id, count(*) FROM document_pages p WHERE NOT EXISTS "
                 "(SELECT 1 FROM processing_jobs j WHERE j.job_id = p.revision_id) AND NOT EXISTS "
                 "(SELECT 1 FROM documents d WHERE d.revision_id = p.revision_id) GROUP BY 1"),
                ("pages of a duplicate", "SELECT job_id, count(*) FROM document_pages p JOIN processing_jobs j "
                 "ON j.job_id = p.revision_id WHERE j.status = 'completed' AND NOT EXISTS "
                 "(SELECT 1 FROM documents d WHERE d.revision_id = p.revision_id) GROUP BY 1"),
                ("chunk of no document", "SELECT revision_id, count(*) FROM chunks c WHERE NOT EXISTS "
                 "(SELECT 1 FROM documents d WHERE d.revision_id = c.revision_id) GROUP BY 1"),
                ("document with other counts", "SELECT document_id FROM documents d WHERE page_count <> "
                 "(SELECT count(*) FROM document_pages p WHERE p.revision_id = d.revision_id) OR chunk_count <> "
                 "(SELECT count(*) FROM chunks c WHERE c.revision_id = d.revision_id)"),
                ("job of a file without its batch", "SELECT job_id FROM processing_jobs c WHERE parent_job_id IS NOT NULL "
                 "AND NOT EXISTS (SELECT 1 FROM processing_jobs p WHERE p.job_id = c.parent_job_id)"),
                ("ended job with a pool or a password", "SELECT job_id FROM processing_jobs WHERE status IN "
                 "('completed', 'failed', 'cancelled') AND (pool_id IS NOT NULL OR sealed_password IS NOT NULL)")):
            for row in self.stack.sql(query):
                self.bad("orphan row", f"{what}: {row}")
        alive = {str(self.stack.worker(p)) for p in ("server", "east", "west")}
        procs_of_pools = [r[0] for r in self.wait_rows(
            "SELECT pid FROM worker_pools WHERE dead_at IS NULL", lambda rows: {r[0] for r in rows} == alive, 20)]
        if set(procs_of_pools) != alive:
            self.bad("orphan row", f"living pools {procs_of_pools}, processes {alive}")
        for row in self.wait_rows("SELECT application_name, replace(query, E'\n', ' ') FROM pg_stat_activity "
                                  "WHERE datname = current_database() AND state LIKE 'idle in transaction%' "
                                  "AND state_change < now() - interval '5 s'", lambda r: not r, 15):
            self.bad("leak", f"transaction left open: {row}")

    def wait_rows(self, query, wanted, seconds):
        end = time.monotonic() + seconds
        while True:
            rows = self.stack.sql(query)
            if wanted(rows) or time.monotonic() > end:
                return rows
            time.sleep(0.3)

    def files(self):
        """Originals lie as JOB/NAME: of documents and of jobs that may be tried again. What a killed server left of
        an upload, and what a duplicate sent, goes with the maintenance job "orphans"."""
        self.maintain_orphans()
        needed = {r[0] for r in self.stack.sql(
            "SELECT job_id FROM processing_jobs WHERE status <> 'completed' UNION "
            "SELECT substring(file_path FROM '/([-0-9a-f]{36})/[^/]*$')::uuid FROM documents")}
        strangers, temporary = [], []
        for folder, _, names in os.walk(self.stack.uploads):
            name = os.path.basename(folder)
            if name == ".incoming":
                temporary += names
            elif folder != self.stack.uploads and name not in needed:
                strangers.append(os.path.join(name, *names[:1]))
        self.ledger.counts["files nobody needs"] = len(strangers)
        self.ledger.counts["temp files of killed uploads"] = len(temporary)
        for name in strangers + temporary:
            self.bad("orphan file", name)
        left = os.listdir(self.stack.temp)
        if left:
            self.bad("temp file", f"{len(left)} files in TMPDIR, as {left[0]}")
        for (job_id,) in self.stack.sql(
                "SELECT j.job_id FROM processing_jobs j WHERE parent_job_id IS NULL AND task_type = 'single_document' "
                "AND status = 'completed' AND result->>'duplicate_of' IS NULL"):
            if not os.path.isdir(os.path.join(self.stack.uploads, job_id)):
                self.bad("lost", f"the original of job {job_id} is gone")

    def maintain_orphans(self):
        """Runs it as if its time had come for files of an hour ago."""
        for entry in os.scandir(self.stack.uploads):
            if entry.is_dir() and not entry.name.startswith("."):
                os.utime(entry.path, (time.time() - 7200,) * 2)
        self.stack.sql("UPDATE maintenance SET submitted_at = '-infinity', job_id = NULL WHERE kind = 'orphans'")
        done = self.wait_rows("SELECT j.status FROM maintenance m JOIN processing_jobs j USING (job_id) "
                              "WHERE m.kind = 'orphans'", lambda rows: rows == [["completed"]], 60)
        if done != [["completed"]]:
            self.bad("stuck", f"the maintenance job of orphaned files: {done}")

    def keys(self):
        name = f"{{{self.stack.database}}}:".encode()

        def strange():
            found = []
            for key in self.stack.redis.ask(["KEYS", "*"])[0]:
                if key.startswith(name + b"progress:"):
                    if self.stack.redis.ask(["TTL", key])[0] not in (-2, *range(61)):  # -2: it has just ended
                        found.append(key)
                else:
                    found.append(key)
            return found

        end = time.monotonic() + 15
        while (found := strange()) and time.monotonic() < end:
            time.sleep(0.3)
        for key in found:
            size = self.stack.redis.ask(["TYPE", key], ["ZCARD", key])
            self.bad("redis key", f"{key.decode()} {size}")

    def processes(self):
        """Only what is wanted runs: server, three workers, three extractors; none waits to be reaped."""
        stack, wanted = self.stack, []
        for party in ("server", "east", "west"):
            wanted += [stack.worker(party), stack.zygote(party)]
        wanted.append(stack.keeper.programs["server"].pid())
        end = time.monotonic() + 20
        while (extra := set(procs.marked(stack.mark.encode())) - set(wanted)) and time.monotonic() < end:
            time.sleep(0.3)
        for pid in extra:
            self.bad("process", f"{pid} {procs.program(pid)} {procs.state(pid)} was left behind")
        for pid in wanted:
            for child in procs.children(pid):
                if procs.state(child) == "Z":
                    time.sleep(1)
                    if procs.state(child) == "Z":
                        self.bad("process", f"{child} of {pid} was never reaped")

    def logs(self):
        """Nothing crashed but what a fault killed, no sanitizer spoke, no line is an error."""
        for name in sorted(os.listdir(self.stack.logs)):
            with open(os.path.join(self.stack.logs, name), encoding="utf-8", errors="replace") as f:
                f.seek(self.read[name])
                for line in f:
                    if name not in ("faults.log", "proxy.log", "redis.log") and CRASH.search(line):
                        self.bad("crash", f"{name}: {line[:500].strip()}")
                self.read[name] = f.tell()
