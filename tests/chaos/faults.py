# SPDX-License-Identifier: AGPL-3.0-or-later
"""faults.py - what can strike, how each proves that it did, and how it is healed.

A fault is a function (world, fault) that strikes, proves it, holds it for fault.seconds, heals it, and returns
the proof as a text; it raises Unproven when it cannot be seen to have struck. The table FAULTS names them with
their targets, how long they hold, how many of each are in a deck, and what nobody else may touch meanwhile.
"""
import collections
import datetime
import errno
import json
import os
import signal
import time

import procs
from procs import Unproven, wait_until

FIND = 30  # seconds to wait for a victim
SHIFTS = ("+3600", "-3600", "+86400", "-86400", "+30", "-30")


def victim(w, target):
    """(pid, what it is); waits until there is one."""
    kind, _, party = target.partition(" ")

    def find():
        if kind == "server":
            return w.keeper.programs["server"].pid()
        if kind == "worker":
            return w.worker(party)
        parties = ("server", "east", "west")
        if kind == "extractor":  # one that has come up: a worker whose extractor ends before that ends too, as it should
            return next((z for z in map(w.zygote, parties[w.turn() % 3 :] + parties) if z and procs.age(z) > 5), 0)
        return next((r for p in parties for r in w.readers(p)), 0)

    return wait_until(f"there is a {target}", find, FIND, 0.003)


def killed(w, f):
    for _ in range(50):  # a reader may end by itself before the signal comes
        pid = victim(w, f.target)
        who = procs.identity(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
        if who:
            wait_until(f"{pid} is gone", lambda who=who: not procs.lives(who), 10)
            return f"process {pid} is gone"
    raise Unproven(f"no {f.target} to kill")


def long_job(w, host):
    """A lease that ends while its job is read matters more: waits a while for a scan of many pages over there."""
    query = ("SELECT 1 FROM processing_jobs WHERE status = 'processing' AND pages_total > 3 AND pages_done < 4 "
             f"AND worker_id LIKE '%@{host}-%'")
    try:
        wait_until("a long job runs", lambda: w.sql(query, check=False), 20, 0.2)
    except Unproven:
        return ""
    return " in a long job"


def stopped(w, f):
    during = ""
    if f.seconds > 10:
        at = f.target.split(" ")[-1]
        during = long_job(w, at if at in w.networks else os.uname().nodename)
    for _ in range(200):
        pid = victim(w, f.target)
        who = procs.identity(pid)
        try:
            os.kill(pid, signal.SIGSTOP)
            wait_until("it is stopped", lambda pid=pid: procs.state(pid) in ("T", None, "Z"), 5, 0.002)
            if procs.state(pid) == "T" and who:
                break
        except OSError:
            continue
    else:
        raise Unproven(f"no {f.target} to stop")
    try:
        w.hold(f.seconds)
        still = procs.state(pid)
    finally:
        if procs.lives(who):
            os.kill(pid, signal.SIGCONT)
    wait_until("it goes on", lambda: not procs.lives(who) or procs.state(pid) != "T", 10)
    return f"process {pid}{during} in state T, after {f.seconds:g} s {still or 'gone'}"


def postgres_stopped(w, f):
    program = w.keeper.programs["postgres"]
    program.held = True
    try:
        pid = program.pid()
        os.kill(pid, signal.SIGQUIT)
        # Before version 16 a postmaster may miss that its last child ended, and look again after 60 s only.
        wait_until("PostgreSQL is gone", lambda: program.process.poll() is not None, 90)
        if not procs.refused("127.0.0.1", w.postgres.port):
            raise Unproven("PostgreSQL still takes connections")
        w.hold(f.seconds)
    finally:
        program.held = False
        wait_until("PostgreSQL is back", w.postgres.ready, 60)
    return f"postmaster {pid} ended, connections refused"


def backend_killed(w, f):
    pid = wait_until("PostgreSQL serves somebody", lambda: next(iter(w.postgres.backends()), 0), FIND)
    who = procs.identity(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until("the backend is gone", lambda: not procs.lives(who), 10)
    wait_until("PostgreSQL is back", lambda: w.sql("SELECT 1", check=False), 60)
    return f"backend {pid} is gone"


def backend_stopped(w, f):
    pids = wait_until("PostgreSQL serves somebody", w.postgres.backends, FIND)
    pid = pids[f.number % len(pids)]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until("it is stopped", lambda: procs.state(pid) == "T", 5)
        w.hold(f.seconds)
    finally:
        os.kill(pid, signal.SIGCONT)
    return f"backend {pid} in state T"


def redis_killed(w, f):
    program = w.keeper.programs["redis"]
    program.held = True
    try:
        pid = program.pid()
        os.kill(pid, signal.SIGKILL)
        wait_until("Redis is gone", lambda: program.process.poll() is not None, 10)
        if not procs.refused("127.0.0.1", w.redis.port):
            raise Unproven("Redis still takes connections")
        w.hold(f.seconds)
    finally:
        program.held = False
        wait_until("Redis is back", w.redis.ready, 30)
    return f"redis {pid} ended, connections refused, back with nothing"


def redis_flushed(w, f):
    before = w.redis.ask(["DBSIZE"])[0]
    size = w.redis.ask(["MULTI"], ["FLUSHALL"], ["DBSIZE"], ["EXEC"])[-1][1]
    if size != 0:
        raise Unproven(f"DBSIZE {size} behind FLUSHALL")
    return f"DBSIZE {before} -> 0"


def redis_asleep(w, f):
    began = time.monotonic()
    w.redis.ask(["DEBUG", "SLEEP", str(f.seconds)], timeout=f.seconds + 20)
    slept = time.monotonic() - began
    if slept < f.seconds * 0.9:
        raise Unproven(f"DEBUG SLEEP {f.seconds:g} took {slept:.2f} s")
    return f"no answer for {slept:.1f} s"


def redis_evicts(w, f):
    w.redis.ask(*[["SET", f"chaos:fill:first{i}", b"x" * 8192, "EX", "20"] for i in range(8)])
    before, used = int(w.redis.info("evicted_keys")), int(w.redis.info("used_memory"))
    limit = used + 65536 if f.target == "some" else 1 << 20
    w.redis.ask(["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"], ["CONFIG", "SET", "maxmemory", str(limit)])
    try:
        end, n = time.monotonic() + f.seconds, 0
        while time.monotonic() < end or int(w.redis.info("evicted_keys")) == before and n < 200:
            n += 1
            w.redis.ask(["SET", f"chaos:fill:{n}", b"x" * 8192, "EX", "20"])
            w.hold(0.05)
        evicted = int(w.redis.info("evicted_keys")) - before
    finally:
        w.redis.ask(["CONFIG", "SET", "maxmemory", "256mb"], ["CONFIG", "SET", "maxmemory-policy", "noeviction"])
        w.redis.ask(["EVAL", "for _, k in ipairs(redis.call('KEYS', 'chaos:fill:*')) do redis.call('DEL', k) end", "0"])
    if evicted <= 0:
        raise Unproven("nothing was evicted")
    return f"{evicted} keys evicted"


def connections_cut(w, f):
    names = [f.target.replace(" ", "-")]
    n = wait_until("there is a connection", lambda: w.proxy("cut", names), FIND)
    return f"{n} connections reset"


def connections_torn(w, f):
    """In the middle of a message, or behind a statement whose answer is lost."""
    names, how = [f.target.replace(" ", "-")], "tear" if f.number % 2 else "answer"
    before = w.proxy("torn")

    def struck():  # armed again: those that were armed may be gone before they say a word
        w.proxy(how, names)
        return w.proxy("torn") > before

    try:
        wait_until("something was torn", struck, FIND, 0.3)
    finally:
        w.proxy("disarm", names)
    return f"{w.proxy('torn') - before} connections reset {'within a message' if how == 'tear' else 'before an answer'}"


def connections_refused(w, f):
    name = f.target.replace(" ", "-")
    address = w.ports[tuple(f.target.split(" "))]
    n = w.proxy("refuse", [name])
    try:
        if not procs.refused(*address):
            raise Unproven("connections are not refused")
        w.hold(f.seconds)
    finally:
        w.proxy("listen", [name])
    return f"{n} connections reset, new ones refused"


def connections_stalled(w, f):
    names = [f.target.replace(" ", "-")]
    n = wait_until("there is a connection", lambda: w.proxy("stall", names), FIND)
    try:
        w.hold(f.seconds)
        waiting = wait_until("something waits in them", lambda: w.proxy("waiting", names), 10, 0.1)
    finally:
        w.proxy("go", names)
    return f"{n} connections stalled {f.seconds:g} s, {waiting} with data waiting"


def disk_filled(w, f):
    path, hits = os.path.join(w.uploads, ".chaos-fill"), 0
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        end = time.monotonic() + f.seconds
        while time.monotonic() < end or not hits:
            try:
                while True:
                    if os.write(fd, bytes(1 << 20)) < 1 << 20:
                        break
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise
                hits += 1
            w.hold(0.03)
    finally:
        os.close(fd)
        os.unlink(path)
    return f"ENOSPC {hits} times"


def clock_jumped(w, f):
    """The proof is a line of the process's own log with a time that is off by the jump."""
    shift, log = SHIFTS[f.number % len(SHIFTS)], os.path.join(w.logs, f.target + ".log")
    offset = os.path.getsize(log)
    w.set_clock(f.target, shift)

    def told():
        with open(log, encoding="utf-8", errors="replace") as file:
            file.seek(offset)
            for line in file:
                try:
                    at = datetime.datetime.fromisoformat(json.loads(line)["time"].replace("Z", "+00:00"))
                except (ValueError, KeyError):
                    continue
                if abs(at.timestamp() - time.time() - int(shift)) < 20:
                    return at
        return None

    try:
        at = wait_until(f"the clock of {f.target} is off by {shift} s", told, 25, 0.2)
        w.hold(f.seconds)
    finally:
        w.set_clock(f.target, "+0")
    return f"{shift} s: its log says {at:%d.%m. %H:%M:%S}"


def link_cut(w, f):
    network, port = w.networks[f.target], w.ports[f.target, "pg"][1]
    during = long_job(w, f.target) if f.seconds > 10 else ""
    network.link("down")
    try:
        if network.reaches(port):
            raise Unproven("the other side is still reached")
        w.hold(max(0, f.seconds - 1))
    finally:
        network.link("up")
    wait_until("the link is healed", lambda: network.reaches(port), 20)
    return f"no connection from {network.ns}{during} for {f.seconds:g} s, then again"


WORKERS = ("worker server", "worker east", "worker west")
PIPES = tuple(f"{p} {s}" for p in ("server", "east", "west") for s in ("pg", "redis"))
Kind = collections.namedtuple("Kind", "strike targets seconds copies lock")


def same(target):
    return target


def party(target):
    return target.rsplit(" ", 1)[-1]


def pipe(target):
    return "net " + target.split(" ")[0]


FAULTS = {
    "kill -9 server": Kind(killed, ("server",), (0,), 2, party),
    "kill -9 worker": Kind(killed, WORKERS, (0,), 4, party),
    "kill -9 extractor": Kind(killed, ("extractor", "reader", "reader"), (0,), 4, lambda t: "reader"),
    "stop server": Kind(stopped, ("server",), (1, 3, 6), 2, party),
    "stop worker": Kind(stopped, WORKERS, (1, 3, 11, 13), 3, party),
    "stop extractor": Kind(stopped, ("extractor", "reader"), (1, 2), 3, lambda t: "reader"),
    "PostgreSQL stopped at once": Kind(postgres_stopped, ("postgres",), (0.2, 1, 3), 2, same),
    "PostgreSQL backend killed": Kind(backend_killed, ("postgres",), (0,), 1, same),
    "PostgreSQL backend stopped": Kind(backend_stopped, ("postgres",), (1, 3), 2, same),
    "Redis killed": Kind(redis_killed, ("redis",), (0.1, 1, 3), 2, same),
    "Redis FLUSHALL": Kind(redis_flushed, ("redis",), (0,), 3, same),
    "Redis asleep": Kind(redis_asleep, ("redis",), (1, 3), 2, same),
    "Redis evicts": Kind(redis_evicts, ("some", "all"), (1, 2), 2, lambda t: "redis"),
    "connections cut": Kind(connections_cut, PIPES, (0,), 4, pipe),
    "connections torn": Kind(connections_torn, PIPES, (0,), 4, pipe),
    "connections refused": Kind(connections_refused, PIPES, (1, 3), 2, pipe),
    "connections stalled": Kind(connections_stalled, PIPES, (2, 4, 10), 3, pipe),
    "disk full": Kind(disk_filled, ("disk",), (0.5, 2), 2, same),
    "clock jump": Kind(clock_jumped, ("east", "west"), (0.5, 2), 3, party),
    "link cut": Kind(link_cut, ("east", "west"), (2, 4, 12), 2, lambda t: "net " + t),
}
