#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""recall.py - is all the text there? Words of the stored pages against those of pdftotext.

Multiset recall: of every word (\\w+ of NFKC, lower case) as often as pdftotext has it. What pdftotext
has and we have not is listed, most frequent first, so that a fault can be found.
"""
import collections
import os
import re
import subprocess
import unicodedata

import lib

OTHER_SCRIPTS = ("install-ko.pdf", "install-ru.pdf", "maint-guide-ja.pdf")


def words(text):
    return collections.Counter(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def pdftotext_words(path):
    done = subprocess.run(["pdftotext", "-enc", "UTF-8", path, "-"], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    return words(done.stdout.decode("utf-8", "replace"))


def bench(report):
    folder = lib.corpus("born", needed=False)
    if folder:
        paths = [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if n.endswith(".pdf")]
    else:
        lib.note("no corpus: with the small file of tests/data")
        paths = [os.path.join(lib.ROOT, "tests", "data", "text.pdf")]
    with lib.Stack() as stack:
        for path in paths:
            name = os.path.basename(path)
            _, job = stack.completed(name, lib.read(path))
            ours = words("".join(stack.page_texts(job["document_id"])))
            theirs = pdftotext_words(path)
            missing = theirs - ours
            recall = 100 * (1 - missing.total() / theirs.total())
            bar = 98 if name in OTHER_SCRIPTS else 99.5
            report.row(name, round(recall, 3), ">= %g" % bar, recall >= bar, "%", words=theirs.total(),
                       missing=missing.total())
            if recall < bar:
                lib.note("missing: " + " ".join("%s*%d" % w for w in missing.most_common(20)))
                lib.note("extra:   " + " ".join("%s*%d" % w for w in (ours - theirs).most_common(20)))


lib.main(bench)
