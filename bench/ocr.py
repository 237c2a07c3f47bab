#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""ocr.py - how well scans are read: character error rate against the text of the printed pages.

White space is collapsed on both sides; edits and lengths of the four pages are summed (pooled). The
scans without a bar are shown for information; with names as arguments only those are read.
"""
import os
import sys

import lib

BARS = {"clean300": 1.0, "scan300": 1.5}
OTHERS = ("scan200", "skew4", "bad300", "rot90", "rot180", "rot270")


def edits(a, b):
    """Levenshtein distance, bit-parallel (Hyyrö 2003): one long integer is a column."""
    if not a or not b:
        return len(a) or len(b)
    peq = {}
    for i, c in enumerate(a):
        peq[c] = peq.get(c, 0) | 1 << i
    mask, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    pv, mv, score = mask, 0, len(a)
    for c in b:
        eq = peq.get(c, 0)
        xv = eq | mv
        xh = (((eq & pv) + pv) ^ pv) | eq
        ph = mv | ~(xh | pv) & mask
        mh = pv & xh
        score += bool(ph & last) - bool(mh & last)
        ph = ph << 1 | 1
        mh <<= 1
        pv = (mh | ~(xv | ph)) & mask
        mv = ph & xv & mask
    return score


def bench(report):
    assert edits("kitten", "sitting") == 3 and edits("abc", "abc") == 0 and edits("ab", "xabz") == 2
    names = sys.argv[1:] or list(BARS) + list(OTHERS)
    with lib.Stack() as stack:
        for name in names:
            data = lib.read(lib.corpus("scans", name + ".pdf"))
            seconds, job = stack.completed(name + ".pdf", data)
            pages = stack.page_texts(job["document_id"])
            wrong, length, each = 0, 0, []
            for i, page in enumerate(pages):
                truth = lib.read(lib.corpus("scans", "gt", "%02d.txt" % i)).decode()
                truth, got = " ".join(truth.split()), " ".join(page.split())
                n = edits(truth, got)
                wrong, length = wrong + n, length + len(truth)
                each.append(round(100 * n / len(truth), 2))
            rate, bar = 100 * wrong / length, BARS.get(name)
            report.row(name, round(rate, 3), "<= %g" % bar if bar else "", rate <= bar if bar else None, "% CER",
                       pages=each, seconds=round(seconds, 2))
            lib.note("pages %s, %.1f s" % (" ".join("%.2f" % e for e in each), seconds))


lib.main(bench)
