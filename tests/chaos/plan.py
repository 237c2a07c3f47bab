# SPDX-License-Identifier: AGPL-3.0-or-later
"""plan.py - which fault strikes when: drawn from a seed before anything runs, so a seed is a plan.

Faults are dealt from a deck: first each kind once, then the other copies, both shuffled, so that twenty faults
have struck in every way; targets and lengths come in turn. Each starts at its time, in a thread of its own, and waits only for what it shares with one
that is still at work.
"""
import collections
import random
import threading
import time

from faults import FAULTS
from procs import Unproven


class Fault:
    def __init__(self, number, at, kind, target, seconds):
        self.number, self.at, self.kind, self.target, self.seconds = number, at, kind, target, seconds
        self.proof, self.error, self.began, self.ended = None, None, 0.0, 0.0

    def __str__(self):
        return f"#{self.number} {self.kind} ({self.target}, {self.seconds:g} s)"


class Plan:
    def __init__(self, seed, kinds, gap):
        self.random, self.gap = random.Random(f"faults {seed}"), gap
        self.kinds, self.deck, self.number = kinds, collections.deque(), 0
        self.turns = {k: self.shuffled([(t, s) for t in set_in_order(FAULTS[k].targets) for s in FAULTS[k].seconds])
                      for k in kinds}

    def shuffled(self, items):
        self.random.shuffle(items)
        return collections.deque(items)

    def deal(self, seconds):
        """The faults of a round of that length."""
        faults, at = [], 1.0
        while at < seconds:
            if not self.deck:
                once, rest = list(self.kinds), [k for k in self.kinds for _ in range(FAULTS[k].copies - 1)]
                self.deck = self.shuffled(once) + self.shuffled(rest)
            kind = self.deck.popleft()
            target, length = self.turns[kind][0]
            self.turns[kind].rotate(-1)
            self.number += 1
            faults.append(Fault(self.number, at, kind, target, length))
            at += self.random.uniform(0.3, 1.7) * self.gap
        return faults


def set_in_order(items):
    return list(dict.fromkeys(items))


class Strikes:
    """Runs a round's faults in the plan's order; each thing is struck by one fault at a time."""

    def __init__(self, world, ledger, log):
        self.world, self.ledger, self.log = world, ledger, log
        self.locks = collections.defaultdict(threading.Lock)

    def run(self, faults):
        began, threads = time.monotonic(), []
        for f in faults:
            time.sleep(max(0, began + f.at - time.monotonic()))
            lock = self.locks[FAULTS[f.kind].lock(f.target)]
            before = threads[-8] if len(threads) >= 8 else None
            if before:
                before.join()  # never more than eight at once
            t = threading.Thread(target=self.strike, args=(f, lock), daemon=True)
            t.start()
            threads.append(t)
        for t in threads:
            t.join()

    def strike(self, f, lock):
        with lock:
            f.began = time.time()
            try:
                f.proof = FAULTS[f.kind].strike(self.world, f)
            except (Unproven, OSError, RuntimeError, KeyError) as e:
                f.error = f"{type(e).__name__}: {e}"
                self.ledger.violation("unproven", f"{f}: {f.error}")
            f.ended = time.time()
        self.ledger.struck(f)
        stamp = time.strftime("%H:%M:%S", time.gmtime(f.began))
        self.log.write(f"{stamp} {f.ended - f.began:6.2f} s  {f}: {f.proof or f.error}\n")
        self.log.flush()
