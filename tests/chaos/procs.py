# SPDX-License-Identifier: AGPL-3.0-or-later
"""procs.py - looking at processes: who lives, who is stopped, who is whose child.

A process is named by its pid and the time it began, so that a number that was given out again is not taken
for the old one.
"""
import os
import socket
import time


class Unproven(Exception):
    """A fault could not be seen to have struck."""


def fields(pid):
    """/proc/PID/stat as (name, [state, ppid, ...]); None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            text = f.read()
    except OSError:
        return None
    return text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()


def state(pid):
    got = fields(pid)
    return got[1][0] if got else None


def identity(pid):
    got = fields(pid)
    return (pid, got[1][19]) if got and got[1][0] != "Z" else None


def age(pid):
    """Seconds since it began; 0: it is gone."""
    got = fields(pid)
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(got[1][19]) / os.sysconf("SC_CLK_TCK") if got else 0


def lives(who):
    return who is not None and identity(who[0]) == who


def program(pid):
    """The name it was started by: the kernel's may be another one."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return os.path.basename(f.read().split(b"\0")[0].decode("latin-1"))
    except OSError:
        return ""


def children(pid, name=None):
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                found += [int(p) for p in f.read().split()]
        except OSError:
            pass
    return [p for p in found if name is None or program(p) == name]


def marked(mark):
    """Pids of all processes whose environment holds `mark` (bytes), zombies excluded."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/environ", "rb") as f:
                    if mark in f.read().split(b"\0"):
                        found.append(int(entry))
            except OSError:
                pass
    return found


def wait_until(what, condition, seconds, every=0.02):
    """The condition's first true value; Unproven after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Unproven(f"waited {seconds:g} s in vain until {what}")
        time.sleep(every)


def free_port(taken=set()):  # noqa: B006 - remembered on purpose: a port is given out once
    port = 20000 + os.getpid() % 9000
    while True:
        port = port + 1 if port < 30000 else 20000
        with socket.socket() as s:
            try:
                s.bind(("0.0.0.0", port))
            except OSError:
                continue
        if port not in taken:
            taken.add(port)
            return port


def refused(host, port):
    """Is a connection refused there?"""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
