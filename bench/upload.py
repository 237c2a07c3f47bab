#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""upload.py - a gigabyte passes through the server without living in it, and about as fast as the disk.

Memory: the peak of the server's resident memory over one upload by REST and one by gRPC (the CLI),
above what it had before. Speed: REST, first byte sent to answer, against dd conv=fsync of the same
bytes to a new file in the same folder, interleaved. No workers run, so nobody reads the file.
"""
import os
import shutil
import socket
import subprocess
import tempfile
import time
from http.client import HTTPResponse

import lib

SIZE = 10 ** 9  # MAX_UPLOAD_SIZE's default
RUNS = 5


def make_source(folder):
    path = os.path.join(folder, "big.pdf")
    with open(path, "wb") as f:
        f.write(b"%PDF-1.7\n")
        block = os.urandom(1 << 20)
        while f.tell() < SIZE:
            f.write(block[:SIZE - f.tell()])
    return path


class Peak:
    """Growth of a process's resident memory, at its highest, since the last reset."""

    def __init__(self, pid):
        self.pid = pid

    def reset(self):
        with open("/proc/%d/clear_refs" % self.pid, "w", encoding="ascii") as f:
            f.write("5")
        self.before = lib.kilobytes(self.pid, "status", "VmRSS")

    def grown(self):
        return (lib.kilobytes(self.pid, "status", "VmHWM") - self.before) / 1e6


def rest(stack, source):
    head, tail = lib.upload_parts("big.pdf", SIZE)
    with open(source, "rb") as f, socket.create_connection(("127.0.0.1", stack.port), timeout=300) as s:
        start = time.monotonic()
        s.sendall(head)
        s.sendfile(f)  # the client costs next to nothing
        s.sendall(tail)
        r = HTTPResponse(s, method="POST")
        r.begin()
        body = r.read()
        seconds = time.monotonic() - start
    if r.status != 202:
        raise lib.CannotMeasure("the upload answered %d: %s" % (r.status, body[:500]))
    return seconds


def dd(stack, source):
    path = os.path.join(stack.data, "dd.out")
    start = time.monotonic()
    subprocess.run(["dd", "if=" + source, "of=" + path, "bs=1M", "conv=fsync", "status=none"], check=True)
    seconds = time.monotonic() - start
    os.unlink(path)
    return seconds


def grpc(stack, source):
    start = time.monotonic()
    done = subprocess.run([os.path.join(lib.BIN, "localrag"), "--server", "127.0.0.1:%d" % stack.grpc_port,
                           "upload", "--no-wait", source], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise lib.CannotMeasure("localrag upload: exit %d: %s" % (done.returncode, done.stderr.strip()))
    return time.monotonic() - start


def clear(stack):
    """Throws the stored gigabyte away and lets the disk come to rest."""
    for (job,) in stack.sql("SELECT job_id FROM processing_jobs WHERE status = 'pending'"):
        stack.post("/api/v1/jobs/%s/cancel" % job)
    folder = os.path.join(stack.data, "uploads")
    for name in os.listdir(folder):
        if name != ".incoming":
            shutil.rmtree(os.path.join(folder, name))
    os.sync()


def bench(report):
    memory = "/dev/shm" if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 2 * SIZE else None
    with lib.Stack(TASK_MAX_WORKERS=0) as stack:
        if shutil.disk_usage(stack.tmp).free < 4 * SIZE:
            raise lib.CannotMeasure("less than %d GB free on the checkout's disk" % (4 * SIZE // 10 ** 9))
        with tempfile.TemporaryDirectory(prefix="localrag-bench-", dir=memory or stack.tmp) as folder:
            source = make_source(folder)
            peak = Peak(stack.server.pid)
            times = {"rest": [], "dd": [], "grpc": []}
            grown = {"rest": [], "grpc": []}
            for i in range(RUNS):
                for what in ("dd", "rest") if i % 2 else ("rest", "dd"):
                    if what == "dd":
                        times["dd"].append(dd(stack, source))
                    else:
                        peak.reset()
                        times["rest"].append(rest(stack, source))
                        grown["rest"].append(peak.grown())
                    clear(stack)
            for i in range(2):
                peak.reset()
                times["grpc"].append(grpc(stack, source))
                grown["grpc"].append(peak.grown())
                clear(stack)
    report.below("memory, REST", max(grown["rest"]), 16, "MB", all=grown["rest"])
    report.below("memory, gRPC", max(grown["grpc"]), 16, "MB", all=grown["grpc"])
    report.at_least("speed, REST", lib.median(times["dd"]) / lib.median(times["rest"]), 0.7, "x dd",
                    **{k + "_s": v for k, v in times.items()})
    lib.note("10^9 bytes: REST %.2f s (%.2f-%.2f), dd %.2f s (%.2f-%.2f), gRPC %.2f s"
             % (lib.median(times["rest"]), min(times["rest"]), max(times["rest"]), lib.median(times["dd"]),
                min(times["dd"]), max(times["dd"]), lib.median(times["grpc"])))


lib.main(bench)
