# SPDX-License-Identifier: AGPL-3.0-or-later
"""quiet.py - the same bytes without a fault: what every document's pages and chunks must be, byte for byte.

A server with a database and a queue of its own, told nothing of the proxy, reads every content that was sent, as
directory batches; digests of both databases are compared.
"""
import os
import subprocess
import time

import calls
import procs
import servers

SLICE = 2000
DIGESTS = """
SELECT d.content_hash, d.page_count, d.chunk_count, coalesce(d.title, ''), d.content_type, array_to_string(d.languages, ','),
  (SELECT md5(string_agg(concat_ws('|', page, label, engine, reason, confidence, char_count, width, height, rotation,
                                   error, text, encode(layout, 'hex')), E'\\n' ORDER BY page))
   FROM document_pages p WHERE p.revision_id = d.revision_id),
  (SELECT md5(string_agg(concat_ws('|', chunk_index, content, page_start, page_end, spans, heading_path, token_count),
                         E'\\n' ORDER BY chunk_index))
   FROM chunks c WHERE c.revision_id = d.revision_id)
FROM documents d"""


class Quiet:
    def __init__(self, stack, ledger):
        self.stack, self.ledger, self.process = stack, ledger, None
        self.folder = os.path.join(stack.folder, "quiet")

    def sql(self, query):
        return self.stack.postgres.sql("quiet", query)

    def run(self):
        """Reads everything; the chaos server must have been stopped: its ports are used again."""
        os.makedirs(os.path.join(self.folder, "in"))
        self.stack.postgres.sql("postgres", "CREATE DATABASE quiet")
        env = self.stack.environment(
            "server", DATABASE_URL=self.stack.postgres.url("quiet"), REDIS_URL=self.stack.redis.url(),
            TASK_QUEUE_NAME="quiet", TASK_MAX_WORKERS="4", DATA_PATH=self.folder, TASK_BATCH_SIZE="50",
            UPLOADS_PATH=os.path.join(self.folder, "uploads"))
        self.process = subprocess.Popen([os.path.join(self.stack.bin, "localrag-server")], cwd=self.folder, env=env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=self.stack.open_log("quiet"), start_new_session=True)
        try:
            procs.wait_until("the quiet server is healthy", self.stack.healthy, 60)
            self.ingest()
        finally:
            servers.end(self.process)

    def ingest(self):
        contents = sorted(self.ledger.contents.items())
        client = calls.Rest(self.stack.port, self.ledger, 60)
        for i in range(0, len(contents), SLICE):
            folder = os.path.join(self.folder, "in", str(i))
            os.mkdir(folder)
            for sha, (name, data) in contents[i : i + SLICE]:
                with open(os.path.join(folder, sha[:16] + name[-4:]), "wb") as f:
                    f.write(data)
            answer = client.ingest(folder)
            if answer[0] != 202:
                raise RuntimeError(f"the quiet run: {answer}")
        left = [["1"]]
        end = time.monotonic() + 60 + len(contents) * 0.2
        while left != [["0"]]:
            time.sleep(0.2)
            left = self.sql("SELECT count(*) FROM processing_jobs WHERE status IN ('pending', 'processing', 'retrying')")
            if time.monotonic() > end:
                raise RuntimeError(f"the quiet run did not end: {left}")

    def compare(self):
        """Documents of the beaten system against those of the quiet one; returns how many were equal."""
        quiet = {r[0]: r[1:] for r in self.sql(DIGESTS)}
        beaten, equal = self.stack.sql(DIGESTS), 0
        seen = set()
        for sha, *what in beaten:
            if sha in seen:
                self.ledger.violation("double", f"two documents of {sha}")
            seen.add(sha)
            if quiet.get(sha) == what:
                equal += 1
            else:
                self.ledger.violation("content", f"document of {self.ledger.contents[sha][0]} ({sha}): {what}, "
                                      f"quiet {quiet.get(sha)}")
        for row in self.stack.sql(
                "SELECT j.job_id, j.content_hash FROM processing_jobs j LEFT JOIN documents d "
                "ON d.document_id = j.document_id WHERE j.status = 'completed' AND j.task_type = 'single_document' "
                "AND (d.content_hash IS DISTINCT FROM j.content_hash OR d.revision_id <> j.job_id "
                "AND j.result->>'duplicate_of' IS DISTINCT FROM d.document_id::text)"):
            self.ledger.violation("content", f"job {row[0]} leads to no document of {row[1]}")
        return equal
