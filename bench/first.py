#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""first.py - what a newcomer waits for: ./dev run in a fresh clone, and once more.

The clone has no build and no servers. Debian packages that the machine has already are not removed, so
on a bare machine (a container, a chroot) this is the whole wait, elsewhere it is the wait less the
packages; the note says how many were missing.
"""
import os
import shutil
import subprocess
import tempfile
import time

import lib


def missing_packages():
    with open(os.path.join(lib.ROOT, "cmake", "packages.txt"), encoding="utf-8") as f:
        names = [w for line in f for w in line.split("#")[0].split() if not w.startswith("[")]
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n"] + names,
                          capture_output=True, text=True, check=False)
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.split()[1:2] == ["ii"]}
    return len([n for n in names if n not in installed])


def timed(clone, env):
    start = time.monotonic()
    subprocess.run([os.path.join(clone, "dev"), "run"], env=env, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def bench(report):
    missing = missing_packages()
    clone = tempfile.mkdtemp(prefix="localrag-first-")
    env = dict(os.environ, PORT=str(lib.free_port()), GRPC_PORT=str(lib.free_port()),
               ADMIN_PORT=str(lib.free_port()))
    for name in ("DATABASE_URL", "REDIS_URL"):
        env.pop(name, None)
    try:
        subprocess.run(["git", "clone", "-q", lib.ROOT, clone], check=True)
        first = timed(clone, env)
        second = timed(clone, env)
    finally:
        subprocess.run([os.path.join(clone, "dev"), "down"], env=env, check=False,
                       stdout=subprocess.DEVNULL)
        shutil.rmtree(clone, ignore_errors=True)
    report.below("first ./dev run", first, 360, "s", packages_missing=missing)
    report.below("second ./dev run", second, 5, "s")
    lib.note("%d of the packages in cmake/packages.txt were missing before" % missing)


lib.main(bench)
