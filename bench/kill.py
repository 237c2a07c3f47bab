#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""kill.py - kill -9 in the middle of a document: the reader, then the whole worker, text and scans.

Killed right after an event says that another page is read, the worst moment: its row may not be
committed. Text pages read again are those that the last event counted and no row kept. Scanned pages
have a reader each, so every reader that worked for WORKED seconds beyond one a page has read a page
again, also when it had only begun: a worker that is killed takes all its readers with it. How many
pages were finished and not committed stands in the note.
"""
import os
import signal
import threading
import time

import lib

WORKED = 0.2  # seconds of CPU; the text pass of a few scanned pages takes less, OCR of one page more


class Readers(threading.Thread):
    """Looks often which readers live and how long each has worked."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.done = stack, threading.Event()
        self.worked, self.live = {}, []

    def run(self):
        zygote = 0
        while not self.done.wait(0.005):
            try:
                listed = lib.read("/proc/%d/task/%d/children" % (zygote, zygote)).split()
            except OSError:
                zygote, listed = self.stack.zygote(), []
            live = []
            for pid in map(int, listed):
                who = lib.identity(pid)
                if who:
                    self.worked[who] = max(lib.cpu_seconds(pid), self.worked.get(who, 0))
                    live.append(who)
            self.live = live

    def victim(self, but=()):
        """A reader that works on a page for a while, none of `but`; 0: none."""
        return next((w[0] for w in self.live if w not in but and self.worked[w] >= WORKED), 0)

    def hard_workers(self):
        return sum(seconds >= WORKED for seconds in self.worked.values())


def rows(stack, job_id):
    return dict(stack.sql("SELECT page, created_at FROM document_pages WHERE revision_id = '%s'" % job_id))


def kill_at(stack, job_id, at, whom, scans, readers):
    """Kills when the events say that `at` pages are read; what was known then, and the end."""
    killed, worker = None, stack.worker()
    for when, job in stack.events(job_id):
        if killed or job["status"] != "processing" or job["pages_done"] < at:
            continue
        victim = worker
        if whom == "reader" and scans:  # not the one that has just finished: its successor
            before = list(readers.worked)
            victim = lib.wait_until("a reader is at work", lambda: readers.victim(before), 60, 0.005)
        elif whom == "reader":
            victim = next((w[0] for w in readers.live), 0)
        if not victim:
            continue  # between two readers; the next event will do
        os.kill(victim, signal.SIGKILL)
        # What a dead worker had sent is committed or lost by now; the next attempt has not begun.
        killed = {"pages_done": job["pages_done"], "rows": rows(stack, job_id), "when": when}
    if not killed:
        raise lib.CannotMeasure("the job ended before anything could be killed")
    return killed, job, when


def scenario(report, stack, name, whom, at, scans):
    data = lib.fresh(lib.read(lib.corpus("scans" if scans else "born", name)))
    readers = Readers(stack)
    readers.start()
    job_id = stack.upload(name, data)
    killed, job, ended = kill_at(stack, job_id, at, whom, scans, readers)
    readers.done.set()
    readers.join()
    what = "%s, %s: " % (name, whom)
    report.row(what + "job", job["status"], "completed", job["status"] == "completed",
               error=job.get("error_message"))
    after, pages = rows(stack, job_id), job["pages_total"]
    moved = [p for p, t in killed["rows"].items() if after.get(p) != t]
    failed = int(stack.sql("SELECT count(*) FROM document_pages WHERE revision_id = '%s' AND engine = 'failed'"
                           % job_id)[0][0])
    report.at_most(what + "rows changed", len(moved), 0, "of %d" % len(killed["rows"]))
    report.at_most(what + "pages missing", failed + pages - len(after), 0, "of %d" % pages)
    if scans:
        report.at_most(what + "read again", readers.hard_workers() - pages, 1, "pages",
                       readers=len(readers.worked))
    else:
        report.at_most(what + "read again", max(0, killed["pages_done"] - len(killed["rows"])), 64, "pages")
    lib.note("killed when %d of %d pages were finished, %d committed; ended %.1f s later, retry_count %s"
             % (killed["pages_done"], pages, len(killed["rows"]), ended - killed["when"], job.get("retry_count")))


def bench(report):
    with lib.Stack() as stack:
        scenario(report, stack, "octave.pdf", "reader", 300, False)
        scenario(report, stack, "fax200.pdf", "reader", 3, True)
        scenario(report, stack, "octave.pdf", "worker", 300, False)
        lib.wait_until("the worker is back", lambda: stack.zygote() and stack.healthy(), 60)
        scenario(report, stack, "fax200.pdf", "worker", 3, True)


lib.main(bench)
