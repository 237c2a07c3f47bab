# SPDX-License-Identifier: AGPL-3.0-or-later
"""peer.py - what the benchmarks share that measure a peer beside the server: building it, running it.

The peers are in bench/peers, what is made of them in .dev/bench.
"""
import os
import shutil
import subprocess

import lib

PEERS = os.path.join(lib.ROOT, "bench", "peers")
MADE = os.path.join(lib.ROOT, ".dev", "bench")


def need(program):
    if not shutil.which(program):
        raise lib.CannotMeasure("there is no %s; it makes or measures the peer" % program)


def run(words, **more):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise lib.CannotMeasure("%s: %s" % (words[0], (done.stderr or done.stdout).strip()[-500:]))
    return done.stdout


def make_go():
    need("go")
    need("protoc")
    out = os.path.join(MADE, "go")
    run([os.path.join(PEERS, "go", "build.sh"), out])
    return out


class Peer:
    """A peer's process, answering on its port once entered."""

    def __init__(self, words, stack, **more):
        self.port = lib.free_port()
        self.words = [w.replace("PORT", str(self.port)) for w in words]
        # pgx and asyncpg want the user's name and the socket's folder as ours do; both read libpq's URLs.
        self.env = dict(os.environ, DATABASE_URL=stack.database, GRPC_PORT=str(self.port), **more)
        self.log = os.path.join(stack.tmp, "peer")

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            lib.wait_until("the peer listens", self.listens, 30)
        except lib.CannotMeasure:
            self.__exit__()
            raise
        return self

    def listens(self):
        if self.process.poll() is not None:
            raise lib.CannotMeasure("the peer ended: %s" % lib.read(self.log).decode()[-500:])
        with lib.socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
