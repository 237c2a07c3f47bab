#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""chaos.py SECONDS [--seed N] [--build DIR] [--gap S] [--round S] [--only WORD]... - beats the whole system for so
long and then holds a ledger against it: every accepted job ended exactly once, with the pages and chunks of a quiet
run, and nothing was left behind.

Needs root (a small disk, network namespaces). The seed settles which faults strike when and what is sent; how the
two meet is the machine's. Exit status: 0 all promises kept and every fault proven, 1 not, 77 it cannot run here.
"""
import argparse
import collections
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import calls
import stack as stacks
from checks import Checks
from clients import Clients
from faults import FAULTS
from ledger import Ledger
from plan import Plan, Strikes
from quiet import Quiet

LEAKS = ("leak", "orphan row", "orphan file", "temp file", "redis key", "process")
NEEDED = ("psql", "redis-server", "ip", "mount", "unshare", "protoc")


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("seconds", type=int, nargs="?", default=60)
    p.add_argument("--seed", default=os.environ.get("SEED") or str(int(time.time()) % 100000))
    p.add_argument("--build", default=os.path.join(stacks.ROOT, "build", "release"))
    p.add_argument("--gap", type=float, default=1.6, help="mean seconds from fault to fault")
    p.add_argument("--round", type=float, default=60, help="seconds of a round")
    p.add_argument("--only", action="append", help="only faults whose name has this word")
    return p.parse_args()


class Run:
    def __init__(self, options):
        self.options, self.ledger = options, Ledger()
        self.folder = tempfile.mkdtemp(prefix="localrag-chaos-")
        os.chmod(self.folder, 0o755)
        binaries = os.path.join(os.path.realpath(options.build), "bin")
        self.stack = stacks.Stack(self.folder, binaries, "asan" in options.build)
        kinds = [k for k in FAULTS if not options.only or any(w in k for w in options.only)]
        if self.stack.sanitized:
            kinds = [k for k in kinds if k != "clock jump"]  # libfaketime cannot be loaded before the sanitizer
        self.plan = Plan(options.seed, kinds, options.gap)
        self.equal, self.rounds, self.began = 0, 0, time.monotonic()

    def run(self):
        os.mkdir(os.path.join(self.folder, "stubs"))
        calls.make_stubs(os.path.join(self.folder, "stubs"))
        self.stack.start()
        with open(os.path.join(stacks.ROOT, "tests", "chaos", "audit.sql"), encoding="utf-8") as f:
            self.stack.sql(f.read())
        checks = Checks(self.stack, self.ledger)
        left = self.options.seconds
        while left > 0:
            length = min(left, self.options.round)
            left -= length
            self.round(length, checks)
        self.stack.postgres.assert_guards(self.stack.database)
        ends = self.stop_programs()
        for name, status in ends.items():
            if status != 0:
                self.ledger.violation("exit", f"{name} ended with {status} when asked to")
        print(f"quiet run of {len(self.ledger.contents)} contents", flush=True)
        quiet = Quiet(self.stack, self.ledger)
        quiet.run()
        self.equal = quiet.compare()

    def round(self, length, checks):
        self.rounds += 1
        clients = Clients(self.stack, self.ledger, f"{self.options.seed}.{self.rounds}")
        with self.stack.open_log("faults") as raw, os.fdopen(os.dup(raw.fileno()), "w", encoding="utf-8") as log:
            clients.start()
            try:
                Strikes(self.stack, self.ledger, log).run(self.plan.deal(length))
                healed = time.monotonic()
                print(f"round {self.rounds}: all faults are healed, {clients.unfinished} jobs unfinished", flush=True)
                if not clients.quiet_clients(90):
                    self.ledger.violation("test", "the clients did not get definite answers in time")
                checks.settle()
                settled = time.monotonic() - healed
            finally:
                clients.stop()
        checks.all()
        self.exits()
        counts = self.ledger.counts
        print(f"round {self.rounds}: {len(self.ledger.jobs)} uploads and batches, {len(self.ledger.faults)} faults, "
              f"quiet after {settled:.1f} s, {counts['violations']} violations", flush=True)

    def exits(self):
        """Nothing may end by itself: only by a signal that a fault sent."""
        for program in self.stack.keeper.programs.values():
            for status in program.ends:
                if status != -9 and program.name not in ("postgres",):
                    self.ledger.violation("exit", f"{program.name} ended by itself with {status}")
            program.ends.clear()

    def stop_programs(self):
        ends = {}
        for name in ("east", "west", "server"):
            program = self.stack.keeper.remove(name)
            program.process.terminate()
            ends[name] = program.process.wait(60)
        return ends

    # -- the ledger for people

    def table(self):
        led, status = self.ledger, collections.Counter()
        for s, n in self.stack.sql("SELECT status, count(*) FROM processing_jobs WHERE task_type <> 'maintenance' GROUP BY 1"):
            status[s] = int(n)
        kinds = collections.Counter(f.kind for f in led.faults)
        proven = collections.Counter(f.kind for f in led.faults if f.proof)
        bad = collections.Counter(kind for kind, _ in led.violations)
        seconds = time.monotonic() - self.began
        print(f"\n{'fault':32} {'struck':>7} {'proven':>7}")
        for kind in FAULTS:
            if kinds[kind]:
                print(f"{kind:32} {kinds[kind]:7} {proven[kind]:7}")
        print(f"{'all':32} {sum(kinds.values()):7} {sum(proven.values()):7}\n")
        rows = [("jobs accepted by answer", len(led.jobs)), ("jobs in all (with files of directories)", sum(status.values()))]
        rows += [(s, status[s]) for s in sorted(status)]
        rows += [("documents equal to the quiet run", self.equal)]
        rows += [(k, v) for k, v in sorted(led.counts.items()) if k != "violations"]
        rows += [("lost", bad["lost"]), ("double effects", bad["double"] + bad["fence"]), ("stuck", bad["stuck"]),
                 ("leaks", sum(bad[k] for k in LEAKS))]
        rows += [(k, v) for k, v in bad.items() if k not in ("lost", "double", "fence", "stuck", *LEAKS)]
        for name, value in rows:
            print(f"{name:44} {value:9}")
        print(f"\n{self.rounds} rounds, {seconds:.0f} s, seed {self.options.seed}; again: "
              f"./dev chaos {self.options.seconds} --seed {self.options.seed}")

    def end(self):
        self.stack.stop()
        kept = os.path.join(stacks.ROOT, ".dev", "chaos", self.options.seed)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.stack.logs, kept)
        with open(os.path.join(kept, "violations"), "w", encoding="utf-8") as f:
            f.writelines(f"{kind}: {text}\n" for kind, text in self.ledger.violations)
        print(f"the logs are in {os.path.relpath(kept)}")
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    options = arguments()
    missing = [p for p in NEEDED if not shutil.which(p)]
    if missing or os.geteuid() != 0:
        print("chaos cannot run here: " + (f"missing {', '.join(missing)}" if missing else "it needs root"), file=sys.stderr)
        return 77  # skipped, for ctest
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    print(f"chaos: {options.seconds} s, seed {options.seed}", flush=True)
    run = Run(options)
    failed = True
    try:
        run.run()
        run.table()
        failed = bool(run.ledger.violations) or any(not f.proof for f in run.ledger.faults)
    except (RuntimeError, subprocess.CalledProcessError) as e:
        print(f"chaos: {e}", file=sys.stderr)
    finally:
        run.end()
    print("FAILED" if failed else "all promises kept")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
