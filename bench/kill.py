#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill.py - kill -9 in the middle of a document: the reader, then the whole worker, text and scans.

Killed right after an event says that another page is read, the worst moment: its row may not be
committed. Text pages read again are those that the last event counted and no row kept. Scanned pages
have a reader each, so every reader beyond one a page (and one for the text pass of an attempt) has
read a page again; a killed worker loses one page of each of its readers (EXTRACT_PROCESSES).
"""
import os
import signal
import threading
import time

import lib


class Readers(threading.Thread):
    """Counts the readers that ever lived, by looking often; a scanned page takes a second or so."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.seen, self.done = stack, {}, threading.Event()

    def run(self):
        zygote, looked = 0, 0.0
        while not self.done.wait(0.01):
            now = time.monotonic()
            if not zygote or not lib.identity(zygote) or now - looked > 0.5:
                zygote, looked = self.stack.zygote(), now
            try:
                listed = lib.read("/proc/%d/task/%d/children" % (zygote, zygote)).split()
            except OSError:
                continue
            for pid in map(int, listed):
                who = lib.identity(pid)
                if who:
                    self.seen.setdefault(who, now)


def rows(stack, job_id):
    return dict(stack.sql("SELECT page, created_at FROM document_pages WHERE revision_id = '%s'" % job_id))


def kill_at(stack, job_id, at, whom):
    """Kills when the events say that `at` pages are read; what was known then, and the end."""
    killed = None
    for when, job in stack.events(job_id):
        if killed or job["status"] != "processing" or job["pages_done"] < at:
            continue
        victims = stack.readers()[-1:] if whom == "reader" else [stack.worker()]
        if not victims or not victims[0]:
            continue  # between two readers; the next event will do
        os.kill(victims[0], signal.SIGKILL)
        # What the dead one had sent is committed or lost by now; the next attempt has not begun.
        killed = {"pages_done": job["pages_done"], "rows": rows(stack, job_id), "when": when}
        end = time.monotonic()
        killed["look_s"] = end - when
    if not killed:
        raise lib.CannotMeasure("the job ended before anything could be killed")
    return killed, job, when


def scenario(report, stack, name, whom, at, scans):
    data = lib.fresh(lib.read(lib.corpus("scans" if scans else "born", name)))
    count = Readers(stack)
    count.start()
    job_id = stack.upload(name, data)
    killed, job, ended = kill_at(stack, job_id, at, whom)
    count.done.set()
    count.join()
    what = "%s, %s killed" % (name, whom)
    after = rows(stack, job_id)
    moved = [p for p, t in killed["rows"].items() if after.get(p) != t]
    report.row(what + ": job", job["status"], "completed", job["status"] == "completed", error=job.get("error_message"))
    pages = job["pages_total"]
    failed = int(stack.sql("SELECT count(*) FROM document_pages WHERE revision_id = '%s' AND engine = 'failed'"
                           % job_id)[0][0])
    report.at_most(what + ": rows lost", len(moved) + failed + pages - len(after), 0, "of %d" % len(killed["rows"]))
    if scans:
        attempts = 2 if whom == "worker" else 1
        again = len(count.seen) - pages - attempts
        # One page a reader that was killed.
        report.at_most(what + ": again", again, (os.cpu_count() or 1) if whom == "worker" else 1, "pages",
                       readers=len(count.seen))
    else:
        report.at_most(what + ": again", max(0, killed["pages_done"] - len(killed["rows"])), 64, "pages")
    lib.note("killed when %d of %d pages were read, %d rows committed; ended %.1f s later, retry_count %s"
             % (killed["pages_done"], pages, len(killed["rows"]), ended - killed["when"], job.get("retry_count")))


def bench(report):
    with lib.Stack() as stack:
        scenario(report, stack, "octave.pdf", "reader", 300, False)
        scenario(report, stack, "fax200.pdf", "reader", 3, True)
        scenario(report, stack, "octave.pdf", "worker", 300, False)
        lib.wait_until("the worker is back", lambda: stack.zygote() and stack.healthy(), 60)
        scenario(report, stack, "fax200.pdf", "worker", 3, True)


lib.main(bench)
