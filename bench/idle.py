#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""idle.py - what it costs to have it running: memory (PSS) and CPU over a minute without jobs.

One small job is run before, so that nothing is measured that was never used. Argument: seconds.
"""
import os
import sys
import time

import lib


def bench(report):
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with lib.Stack() as stack:
        stack.completed("sample.pdf", lib.read(os.path.join(lib.ROOT, "docs", "sample.pdf")))
        pids = {"server": stack.server.pid, "worker": stack.worker(), "zygote": stack.zygote()}
        if not all(pids.values()):
            raise lib.CannotMeasure("a process is missing: %s" % pids)
        time.sleep(2)  # the job's own end
        before = {k: lib.cpu_seconds(p) for k, p in pids.items()}
        start = time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - start
        cpu = {k: 100 * (lib.cpu_seconds(p) - before[k]) / passed for k, p in pids.items()}
        pss = {k: lib.kilobytes(p, "smaps_rollup", "Pss") / 1e6 for k, p in pids.items()}
        rss = {k: lib.kilobytes(p, "smaps_rollup", "Rss") / 1e6 for k, p in pids.items()}
    report.below("PSS, server", pss["server"], 40, "MB", rss=rss["server"])
    report.below("PSS, worker + zygote", pss["worker"] + pss["zygote"], 150, "MB", pss=pss, rss=rss)
    report.below("CPU, all three", sum(cpu.values()), 0.5, "% of a core", each=cpu)
    lib.note("PSS MB: " + ", ".join("%s %.1f" % i for i in pss.items()) +
             "; CPU %: " + ", ".join("%s %.2f" % i for i in cpu.items()))


lib.main(bench)
