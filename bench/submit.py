#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""submit.py - durable uploads of 2 kB over gRPC, 64 callers at a time, against one commit a call.

The other side is the same call of bench/peers/go (grpc-go, pgx with as many connections as the server has
handler threads), which is as durable (file, folder and root fsynced, then the row committed) and does less. It
runs in the same minute on the same database and file system, rounds interleaved; the ratio is the median over
the rounds. BENCH_OTHER=DIR measures another build of localrag-server instead of the peer, as one from before
submissions were grouped.

Afterwards every answer is held against the rows and files: what was answered must be there. No workers run.
"""
import json
import os

import lib
from peer import Peer, make_go, run

CALLERS, ROUNDS = 64, 5
SECONDS = float(os.environ.get("BENCH_SECONDS") or 3)


class Side:
    """One of the two that are measured: what its calls were answered, and what they cost."""

    def __init__(self, made, stack, port, pid):
        self.load, self.stack, self.port, self.pid = os.path.join(made, "submit"), stack, port, pid
        self.rounds, self.accepted, self.syncs, self.cpu = [], 0, 0, 0.0

    def log_syncs(self):
        return int(self.stack.sql("SELECT wal_sync FROM pg_stat_wal")[0][0])

    def measure(self, callers):
        syncs, cpu = self.log_syncs(), lib.cpu_seconds(self.pid)
        f = json.loads(run([self.load, "127.0.0.1:%d" % self.port, str(callers), str(SECONDS)]))
        self.syncs += self.log_syncs() - syncs
        self.cpu += lib.cpu_seconds(self.pid) - cpu
        self.accepted += f["accepted"]
        f["rate"] = f["calls"] / f["seconds"]
        self.rounds.append(f)

    def take(self):
        """The rounds since the last time, for a report."""
        rounds, accepted = self.rounds, self.accepted
        note = "%.0f/s, p50 %.1f, p99 %.1f ms; a call: %.2f syncs of the log, %.0f us CPU" % (
            *(lib.median([f[key] for f in rounds]) for key in ("rate", "p50", "p99")),
            self.syncs / accepted, self.cpu / accepted * 1e6)
        self.rounds, self.accepted, self.syncs, self.cpu = [], 0, 0, 0.0
        return rounds, accepted, note


def check(stack, folder, accepted):
    """Every answer has its row and its file, and there are no others. What a round cut off was not answered."""
    where = "FROM processing_jobs WHERE payload->>'file_path' LIKE '%s/%%'" % folder
    rows = int(stack.sql("SELECT count(*) " + where)[0][0])
    missing = sum(not os.path.isfile(row[0]) for row in stack.sql("SELECT payload->>'file_path' " + where))
    if rows != accepted or missing:
        raise lib.CannotMeasure("%d uploads were answered, %d rows, %d files missing" % (accepted, rows, missing))


def measure(report, ours, theirs, name):
    total = [0, 0]
    for callers in (CALLERS, 1):
        for _ in range(ROUNDS):
            ours.measure(callers)
            theirs.measure(callers)
        (a, n_a, note_a), (b, n_b, note_b) = ours.take(), theirs.take()
        total = [total[0] + n_a, total[1] + n_b]
        ratio = lib.median([x["rate"] / y["rate"] for x, y in zip(a, b)])
        what = "uploads, %d at a time, rate of the other's" % callers
        if callers == 1:
            report.row(what, ratio, "", None, ours=a, other=b)
        else:
            report.at_least(what, ratio, 3, ours=a, other=b)
        lib.note("ours " + note_a)
        lib.note("%s %s" % (name, note_b))
    return total


def bench(report):
    made = make_go()
    other = os.environ.get("BENCH_OTHER")
    with lib.Stack(TASK_MAX_WORKERS=0) as stack:
        ours = Side(made, stack, stack.grpc_port, stack.server.pid)
        folder = os.path.join(stack.data, "uploads")
        if other:
            here, lib.BIN = lib.BIN, os.path.join(other, "bin")
            with lib.Stack(TASK_MAX_WORKERS=0) as old:
                lib.BIN = here
                theirs = Side(made, old, old.grpc_port, old.server.pid)
                total = measure(report, ours, theirs, "other build")
                check(old, os.path.join(old.data, "uploads"), total[1])
        else:
            peer_folder = os.path.join(stack.data, "peer")
            os.mkdir(peer_folder)
            with Peer([os.path.join(made, "peer")], stack, UPLOADS_PATH=peer_folder) as peer:
                theirs = Side(made, stack, peer.port, peer.process.pid)
                total = measure(report, ours, theirs, "peer")
            check(stack, peer_folder, total[1])
        check(stack, folder, total[0])


lib.main(bench)
