# SPDX-License-Identifier: AGPL-3.0-or-later
"""documents.py - what clients send: mostly tiny texts nobody has seen, some PDFs, a scan now and then, the
same bytes once more, and files that cannot be read.

Every kind names how its job must end when nobody cancels it; what its pages and chunks are is found by a quiet
run of the same bytes (quiet.py).
"""
import os
import random

import stack

DATA = os.path.join(stack.ROOT, "tests", "data")
WORDS = ("ledger crash worker queue lease fence claim epoch sweep lane page chunk stall proxy cut heal clock jump "
         "redis postgres server client watch retry cancel batch scan text byte disk full link down up again").split()
KINDS = (("text", 860, None), ("long", 30, None), ("pdf", 40, None), ("again", 40, None), ("scan", 4, None), ("scans", 3, None),
         ("broken", 14, "UNREADABLE"), ("locked", 12, "PASSWORD_REQUIRED"))


def read(name):
    with open(os.path.join(DATA, name), "rb") as f:
        return f.read()


class Documents:
    """Draws documents; each submitter has one, seeded, so that the same seed sends the same bytes."""

    def __init__(self, seed):
        self.random = random.Random(f"documents {seed}")
        self.count, self.seed, self.sent = 0, seed, []
        self.files = {"pdf": [read("text.pdf"), read("blank.pdf")], "scan": [read("scan.pdf")], "scans": [read("scans.pdf")],
                      "broken": [read("random.pdf")], "locked": [read("encrypted.pdf")]}

    def sentence(self, words):
        return " ".join(self.random.choice(WORDS) for _ in range(words))

    def draw(self):
        """(kind, file name, bytes)"""
        self.count += 1
        kind = self.random.choices([k[0] for k in KINDS], [k[1] for k in KINDS])[0]
        if kind == "again" and not self.sent:
            kind = "text"
        tag = f"{self.seed}-{self.count}"
        if kind == "text":
            name, data = f"{tag}.txt", f"{tag} {self.sentence(self.random.randint(3, 60))}\n".encode()
            self.sent.append((name, data))
            del self.sent[:-200]
        elif kind == "long":
            paragraphs = [self.sentence(self.random.randint(30, 90)) for _ in range(self.random.randint(10, 60))]
            name, data = f"{tag}.txt", (f"{tag}\n\n" + ".\n\n".join(paragraphs)).encode()
        elif kind == "again":
            name, data = self.random.choice(self.sent)
        else:
            name = f"{tag}.pdf"
            data = self.random.choice(self.files[kind]) + f"\n%% {tag}\n".encode()
        return kind, name, data


def failure_of(kind):
    return next(k[2] for k in KINDS if k[0] == kind)
