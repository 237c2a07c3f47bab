#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""overload.py DATABASE GRPC_PORT PORT ADMIN_PORT - more calls than a server holds (test_overload.sh).

The table of jobs is locked, so that no call is answered; then more calls come than the server queues.
Prints NAME=VALUE lines for the test to judge: how many were refused while the lock was held and with what
words, what REST and the probe said at that time, and how all others ended when the lock was gone.
"""
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import grpc

CALLS, CHANNELS, SOON = 1300, 8, 30


def get(url):
    """Status, Retry-After and body."""
    try:
        with urllib.request.urlopen(url, timeout=SOON) as answer:
            return answer.status, answer.headers.get("Retry-After"), answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers.get("Retry-After"), e.read().decode()


class Lock:
    """Nobody reads processing_jobs until it is released."""

    def __init__(self, database):
        self.psql = subprocess.Popen(["psql", "-qAt", database], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
        self.psql.stdin.write("BEGIN; LOCK TABLE processing_jobs IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
        self.psql.stdin.flush()
        assert self.psql.stdout.readline() == "locked\n"

    def release(self):
        self.psql.communicate("COMMIT;\n", timeout=SOON)


class Calls:
    """ListJobs, all at once."""

    def __init__(self, port):
        self.ended = []
        self.changed = threading.Condition()
        self.channels = [grpc.insecure_channel("127.0.0.1:%s" % port, [("grpc.use_local_subchannel_pool", 1)])
                         for _ in range(CHANNELS)]
        for i in range(CALLS):
            call = self.channels[i % CHANNELS].unary_unary("/localrag.v1.JobService/ListJobs")
            call.future(b"", timeout=4 * SOON).add_done_callback(self.end)

    def end(self, future):
        with self.changed:
            self.ended.append((future.code().name, future.details() or ""))
            self.changed.notify_all()

    def wait(self, n):
        """Until so many have ended, or not even one more does; those that have."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.ended) >= n, SOON)
            return list(self.ended)


def main(database, grpc_port, port, admin_port):
    lock = Lock(database)
    try:
        calls = Calls(grpc_port)
        calls.wait(1)
        status, after, body = get("http://127.0.0.1:%s/api/v1/jobs" % port)
        print("rest=%d %s" % (status, "RESOURCE_EXHAUSTED" if "RESOURCE_EXHAUSTED" in body else body))
        print("retry_after=%s" % after)
        began = time.monotonic()
        print("probe=%d" % get("http://127.0.0.1:%s/livez" % admin_port)[0])
        print("probe_seconds=%d" % (time.monotonic() - began))
        refused = calls.wait(1)
    finally:
        lock.release()
    ended = calls.wait(CALLS)
    print("refused=%d" % len(refused))
    print("refusals=%s" % "; ".join(sorted({"%s %s" % e for e in refused})))
    print("ended=%d" % len(ended))
    print("others=%s" % " ".join(sorted({code for code, _ in ended if code != "RESOURCE_EXHAUSTED"})))
    print("after=%d" % get("http://127.0.0.1:%s/api/v1/jobs" % port)[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
