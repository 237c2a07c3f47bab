#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""test_plans.py - what every statement of sql/queries does in a database that is full.

A million jobs in all their states with their documents, pages and chunks are written and analysed
(jobs.sql, documents.sql). Each statement is then run under EXPLAIN (ANALYZE, BUFFERS) and rolled
back: no table that grows may be read from end to end, and no more rows and blocks may be touched than
its line below allows. libpq prepares a statement once and PostgreSQL chooses between a plan for its
arguments and one for any: both are forced.

At the end one index is dropped, and the check must notice: this test can fail. By hand,
`test_plans.py --each-index` says for every index which statements miss it, and `-v` shows what each
statement reads.
"""
import json
import os
import random
import re
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
# These grow with use. The others have a row for a worker, a day or a migration: reading all of one is right.
LARGE = {"processing_jobs", "documents", "document_pages", "chunks"}
ROWS, BLOCKS = 200, 400  # what a statement may read that no line below allows more


def job(i):
    return "md5('job%d')::uuid" % i


POOL, DOCUMENT = "md5('pool1')::uuid", "md5('document100002')::uuid"
BATCH, RUNNING, WAITING, FAILED = job(1), job(25), job(900001), job(100025)
READ, FILE, MANY = job(100002), job(300004), 10000  # a job with pages, a file of a small batch
IDS = "ARRAY[%s]" % ", ".join(job(900001 + 2 * i) for i in range(32))
ONE = "ARRAY[%s]" % RUNNING


class Case:
    """One call: its arguments, and how much it may read. `why` is for what reads more than a few rows."""

    def __init__(self, *args, rows=ROWS, blocks=BLOCKS, scans=frozenset(), why=None):
        self.args, self.rows, self.blocks, self.scans, self.why = args, rows, blocks, scans, why
        assert why or (rows, blocks, scans) == (ROWS, BLOCKS, set())


STATES = ("pending", "retrying", "processing", "completed", "failed", "cancelled")
TYPES = ("single_document", "directory_batch", "document_reprocess")


def lists():
    """Every kind of filter, as jobs/list.c asks for it: whole lists, types and states, files."""
    def array(words):
        return "'{%s}'" % ",".join(words)
    for types in (TYPES, TYPES[:1]):
        yield "true", array(types), "'{}'", "'{}'", "NULL"
    for states in [STATES] + [(s,) for s in STATES]:
        for types in [(t,) for t in (*TYPES, "maintenance")] + [TYPES]:
            yield "false", array(types), array(states), "'{}'", "NULL"
        yield "false", array(TYPES), "'{}'", array(states), BATCH
        if states != STATES:
            yield "false", array(TYPES), array(states), array(states), "NULL"


PAGE = {"rows": 51 * 25, "blocks": 500, "why": "a page of 51 rows, as many from each of up to 24 pieces"}
PAGES = [Case(*f, below, 0, 51, **PAGE) for f in lists() for below in ("NULL", 990000, 500000)]
# What is skipped must not be fetched: a block for two hundred rows, not one for each.
PAGES += [Case(*f, "NULL", 100000, 51, rows=500000, blocks=12000, why="skips 100,000 rows in an index") for f in lists()]
COUNTS = [Case(*f, 100001, rows=110000, blocks=8000, why="counts up to 100,000") for f in lists()]
SLICE = {"rows": 40000, "blocks": 200000, "why": "a slice of 1,000 and what hangs on it"}
BACKLOG = {"rows": 300000, "blocks": 80000, "why": "counts all that wait, in an index; blocks: its visibility map"}

CASES = {
    "backlog": Case(MANY, rows=MANY, blocks=1000, why="counts as far as the limit that is asked about"),
    "batch_add": Case(BATCH, 1, "ARRAY['/a', '/files/300008']", "ARRAY['/a', '/b']", "ARRAY['a', 'b']", 3),
    "batch_advance": Case(job(2), 50, 1, blocks=3000, why="50 files are released, each in all indexes"),
    "batch_begin_empty": Case(WAITING),
    "batch_cancel_files": Case(job(2), rows=30000, blocks=500000, why="cancels every unfinished file of a batch"),
    "batch_cancel_late": Case(BATCH, 100, rows=500, blocks=5000, why="cancels 100 files, each in all indexes"),
    "batch_complete": Case(BATCH, "'m'", "'{}'", 5),
    "batch_counts": Case(job(2), rows=15000, blocks=16000, why="the files of one batch"),
    "batch_failures": [Case(BATCH, 100), Case(job(2), 100)],
    "batch_give_back": Case(BATCH, 1, 5, 1),
    "batch_lock": Case(BATCH),
    "batch_overdue": Case(50, rows=2500, blocks=3500, why="20 batches, of each as many files as may run"),
    "batch_spec": Case(BATCH),
    "batch_uncount": Case(BATCH),
    "blobs_unknown": Case(IDS),
    "chunks_add": Case(READ, "ARRAY[90, 91]", "ARRAY['a', 'b']", "ARRAY[1, 1]", "ARRAY[1, 1]",
                       "ARRAY['[]', '[]']", "ARRAY['[]', '[]']", "ARRAY[1, 1]"),
    "chunks_delete": Case(READ),
    "db_ping": Case(),
    "dead_jobs": Case(rows=250, why="all that runs"),
    "document_by_dedupe": Case("'key100002'"),
    "document_chunks": Case(READ, 3, 50),
    "document_count": Case(rows=200000, blocks=6000, scans={"documents"}, why="how many documents there are"),
    "document_delete": Case(DOCUMENT),
    "document_get": Case(DOCUMENT),
    "document_insert": Case("gen_random_uuid()", READ, "'new'", "'h'", "'n'", "'p'", 1, "'t'", 1, "NULL", "'{}'",
                            "'{}'", "'{}'"),
    "document_list": [Case("NULL", "NULL", 51),
                      Case("floor(extract(epoch FROM now() - interval '20 days') * 1e6)::bigint", DOCUMENT, 51)],
    "document_lock": Case(DOCUMENT),
    "document_pages": Case(READ, 3, 50, "true"),
    "document_switch": Case(DOCUMENT, WAITING, "'new'", "'h'", 1, "'t'", 1, "NULL", "'{}'"),
    "job_by_key": Case("'key100003'"),
    "job_alone": Case(IDS),
    "job_cancel": Case(WAITING),
    "job_claim": Case(POOL, IDS, "ARRAY(SELECT 'general-' || g FROM generate_series(1, 32) AS g)", "false", "'host'",
                      blocks=1500, why="32 rows, each in all indexes"),
    "job_complete": Case(ONE, "ARRAY[1]", "ARRAY['m']", "ARRAY['{}']", "ARRAY[%s]" % DOCUMENT, "ARRAY[5]"),
    "job_count": COUNTS,
    "job_estimate": Case("'pending'", "'single_document'", "false"),
    "job_fail": Case(RUNNING, 1, "'TIMEOUT'", "'m'", "true", 1000),
    "job_get": Case(RUNNING),
    "job_get_many": Case(IDS),
    "job_hand_back": Case(RUNNING, 1),
    "job_identify": Case(RUNNING, 1, "'h'", 1, "'t'"),
    "job_insert": Case("gen_random_uuid()", "'single_document'", "'high'", "'{}'", 3, "'n'", "'h'", "'a key'", "NULL"),
    "job_insert_many": Case("ARRAY[gen_random_uuid(), gen_random_uuid()]", "ARRAY['single_document', 'single_document']",
                            "ARRAY['high', 'low']", "ARRAY['{}', '{}']", "ARRAY['n', 'n']",
                            "ARRAY[md5('hash100002'), 'h']", "ARRAY['a key', NULL]", "ARRAY[NULL, NULL]::bytea[]", 3,
                            "true"),
    "job_kind": Case(RUNNING),
    "job_list": PAGES,
    "job_lock": Case(RUNNING, 1),
    "job_retry": Case(FAILED),
    "job_status": Case(RUNNING),
    "jobs_changed": Case("extract(epoch FROM now() - interval '5 minutes')::float8", 1000, rows=2000, blocks=2500,
                         why="what waits for its next attempt counts as changed lately"),
    "jobs_purge": Case(30 * 86400000, 1000, **SLICE),
    "maintenance_complete": Case(RUNNING, 1, "'m'", "'{}'"),
    "maintenance_note": Case(RUNNING, 1, "'{}'", "NULL", "'m'"),
    "maintenance_purge": Case(20, rows=5000, blocks=15000, why="deletes all that was kept beyond"),
    "maintenance_read": Case(RUNNING, 1),
    "maintenance_submit": Case(30 * 86400000, 3),
    "migration_done": Case(99, "'n'"),
    "migration_lock": Case(),
    "migration_version": Case(),
    "pages_delete": Case(READ),
    "pages_failed": Case(READ),
    "pages_known": Case(READ),
    "pages_read": Case(READ, 3, 50),
    "pages_save": Case(RUNNING, 1, "ARRAY[1]", "ARRAY['']", "ARRAY['text']", "ARRAY['']", "ARRAY['']", "ARRAY['']",
                       "ARRAY[1.0]", "ARRAY[1]", "ARRAY[1.0]", "ARRAY[1.0]", "ARRAY[0]", "ARRAY[0]", "ARRAY[''::bytea]"),
    "pages_summary": Case(READ),
    "pool_beat": Case(POOL, "ARRAY['general-5']", "ARRAY[1]", "ARRAY[1]", "ARRAY[0]", ONE, "ARRAY[1]", ONE, "ARRAY[1]",
                      "ARRAY[5.0]", "ARRAY[1]", "ARRAY[20]", "ARRAY['m']", rows=1000, why="all workers of the pool"),
    "pool_delete": Case(POOL),
    "pool_hand_back": Case(POOL, rows=300, blocks=1500, why="all that runs; 25 jobs, each in all indexes"),
    "pool_insert": Case("gen_random_uuid()", "'h'", 1, "'v'"),
    "pool_mark_dead": [Case(POOL, "NULL", "NULL"), Case("NULL", "'host1'", 1)],
    "pool_strays": Case(POOL, "'{}'", rows=300, blocks=1500, why="all that runs; 25 jobs, each in all indexes"),
    "pools_alive": Case(),
    "pools_purge": Case(),
    "queue_lengths": Case(**BACKLOG),
    "reprocess_insert": Case("gen_random_uuid()", DOCUMENT, 3),
    "statistics_24h": Case(rows=20000, blocks=20000, why="all jobs of a day"),
    "statistics_daily": Case(),
    "statistics_roll": Case(1000, blocks=8000, why="locks and deletes 1,000 rows"),
    "store_owner": Case(),
    "sweep_lock": Case(),
    "sweep_newer": Case("'medium'", "floor(extract(epoch FROM now() - interval '1 day') * 1000)::bigint", 5000,
                        rows=5000, blocks=6000, why="a slice of 5,000"),
    "sweep_next": Case(),
    "sweep_older": [Case("'medium'", h, 5000, 0, rows=5000, blocks=6000, why="a slice of 5,000") for h in
                    ("NULL", "floor(extract(epoch FROM now() - interval '1 day') * 1000)::bigint")],
    "worker_control_get": Case(),
    "worker_control_set": Case("true", "false", 4, 2),
    "workers_insert": Case(POOL, "ARRAY['x']", "ARRAY['any']"),
    "workers_list": Case(rows=500, why="all workers"),
}
NOT_EXPLAINED = {"migration_table": "creates a table"}


def cases_of(name):
    return CASES[name] if isinstance(CASES[name], list) else [CASES[name]]


def psql(url, *args, text=None):
    done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *args, url], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit("psql: " + done.stderr.strip()[:3000])
    return done.stdout


def statements():
    """Name and text of every file."""
    texts = {}
    folder = os.path.join(ROOT, "sql", "queries")
    for file in sorted(os.listdir(folder)):
        with open(os.path.join(folder, file), encoding="utf-8") as f:
            texts[file[:-len(".sql")]] = f.read().rstrip().rstrip(";")
    return texts


def fill(url):
    migrations = os.path.join(ROOT, "sql", "migrations")
    for file in sorted(os.listdir(migrations)):
        psql(url, "-1", "-f", os.path.join(migrations, file))
    psql(url, "-c", "CREATE TABLE schema_migrations (number integer PRIMARY KEY, name text NOT NULL, "
         "applied_at timestamptz NOT NULL DEFAULT now())")
    bulk = os.path.join(ROOT, "tests", "support", "bulk.sql")
    failed = []

    def load(file):
        try:
            psql(url, "-f", bulk, "-f", os.path.join(ROOT, "tests", "sql", file))
        except SystemExit as e:
            failed.append(str(e))
    both = [threading.Thread(target=load, args=(file,)) for file in ("jobs.sql", "documents.sql")]
    for t in both:
        t.start()
    for t in both:
        t.join()
    if failed:
        sys.exit("\n".join(failed))


def explain(url, texts, before=""):
    """(statement, case, mode, plan) for all of them, on one connection, everything rolled back."""
    script, calls = [], []
    # Those that write much come last: others would read what they leave behind.
    for name in sorted((n for n in texts if n not in NOT_EXPLAINED), key=lambda n: max(c.blocks for c in cases_of(n))):
        script.append("PREPARE \"%s\" AS %s;" % (name, texts[name]))
        cases = cases_of(name)
        for mode in ("force_custom_plan", "force_generic_plan"):
            for case in cases:
                args = "(%s)" % ", ".join(str(a) for a in case.args) if case.args else ""
                args = args.replace("ARRAY(SELECT 'general-' || g FROM generate_series(1, 32) AS g)",
                                    "'{%s}'" % ",".join("general-%d" % g for g in range(1, 33)))
                script.append("BEGIN; %s SET LOCAL plan_cache_mode = %s; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
                              "EXECUTE \"%s\"%s; ROLLBACK; \\echo @@" % (before, mode, name, args))
                calls.append((name, case, mode))
    out = psql(url, "-f", "-", text="\n".join(script).replace("ROLLBACK; \\echo", "ROLLBACK;\n\\echo"))
    plans = [json.loads(part)[0]["Plan"] for part in out.split("@@\n") if part.strip()]
    assert len(plans) == len(calls), "%d plans for %d calls" % (len(plans), len(calls))
    return [(*call, plan) for call, plan in zip(calls, plans)]


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def look(plan):
    """Rows read from tables and indexes, blocks touched, tables that were read from end to end."""
    rows, scanned = 0, []
    for n in nodes(plan):
        if n.get("Relation Name") in LARGE and n["Node Type"] != "ModifyTable":
            rows += n["Actual Loops"] * (n["Actual Rows"] + n.get("Rows Removed by Filter", 0) +
                                         n.get("Rows Removed by Index Recheck", 0))
            if "Seq Scan" in n["Node Type"] and n["Actual Loops"]:
                scanned.append(n["Relation Name"])
    return rows, plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], scanned


def complaints(explained, verbose=False):
    """{statement: what is wrong with it}"""
    wrong = {}
    for name, case, mode, plan in explained:
        rows, blocks, scanned = look(plan)
        if verbose:
            print("%-22s %-8s rows %8d (%d), blocks %7d (%d), %.1f ms %s" % (
                name, mode.split("_")[1], rows, case.rows, blocks, case.blocks, plan["Actual Total Time"],
                " ".join(str(a) for a in case.args)[:90]))
        what = ["reads all of %s" % t for t in scanned if t not in case.scans]
        what += ["reads %d rows, %d allowed" % (rows, case.rows)] if rows > case.rows else []
        what += ["touches %d blocks, %d allowed" % (blocks, case.blocks)] if blocks > case.blocks else []
        if what and name not in wrong:
            wrong[name] = "%s%s (%s): %s" % (name, tuple(str(a) for a in case.args), mode, ", ".join(what))
    return wrong


def check(url):
    texts = statements()
    strangers = [n for n in texts if n not in CASES and n not in NOT_EXPLAINED]
    strangers += [n + " (no such file)" for n in [*CASES, *NOT_EXPLAINED] if n not in texts]
    if strangers:
        sys.exit("every statement needs its line in CASES of tests/sql/test_plans.py; not so: " + ", ".join(strangers))
    fill(url)
    wrong = complaints(explain(url, texts), "-v" in sys.argv)
    for line in wrong.values():
        print(line)
    if "--each-index" in sys.argv:
        each_index(url, texts, wrong)
    missed = {n: texts[n] for n in ("sweep_older", "sweep_newer")}
    noticed = complaints(explain(url, missed, before="DROP INDEX processing_jobs_runnable;"))
    if set(noticed) != set(missed):
        print("the index of the lanes was dropped, and nobody noticed but: %s" % sorted(noticed))
        return 1
    print("%d statements, %d of them wrong" % (len(texts), len(wrong)))
    return 1 if wrong else 0


def each_index(url, texts, wrong):
    for index in psql(url, "-c", "SELECT indexrelid::regclass FROM pg_index WHERE indrelid::regclass::text IN (%s) "
                      "AND NOT indisprimary ORDER BY 1" % ", ".join("'%s'" % t for t in LARGE)).split():
        drop = "DROP INDEX %s;" % index
        if index.endswith("_key"):
            drop = "ALTER TABLE %s DROP CONSTRAINT %s;" % (re.match("processing_jobs|documents", index)[0], index)
        try:
            missing = set(complaints(explain(url, texts, before=drop))) - set(wrong)
        except SystemExit as e:
            missing = {str(e).split("ERROR:")[-1].strip()}
        print("%-40s %s" % (index, ", ".join(sorted(missing)) or "-- nobody misses it"), flush=True)


def main():
    server = os.environ.get("TEST_DATABASE_URL")
    if not server:
        sys.exit("TEST_DATABASE_URL is not set: tests/support/with-servers.sh tests/sql/test_plans.py")
    name = "plans_%08x" % random.getrandbits(32)
    psql(server, "-c", "CREATE DATABASE %s" % name)
    try:
        return check(re.sub(r"/localrag(?=[?]|$)", "/" + name, server))
    finally:
        psql(server, "-c", "DROP DATABASE %s WITH (FORCE)" % name)


if __name__ == "__main__":
    sys.exit(main())
