# SPDX-License-Identifier: AGPL-3.0-or-later
"""servers.py - PostgreSQL and Redis of a chaos run, in its own folder, that can be stopped and started.

PostgreSQL keeps every guard on: fsync, synchronous_commit and full_page_writes are asserted at each start.
Both listen on loopback; the programs reach them only through the proxy, the checks go there directly.
"""
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess

import procs

PG_BIN = "/usr/lib/postgresql/15/bin"
GUARDS = ("fsync", "synchronous_commit", "full_page_writes")


class Postgres:
    """Restarting it is the caller's business (stack.Keeper)."""

    def __init__(self, folder, log):
        self.folder, self.log = os.path.join(folder, "pg"), log
        self.password, self.port = secrets.token_hex(16), procs.free_port()
        self.process, self.user = None, {}
        os.mkdir(self.folder, 0o700)
        if os.geteuid() == 0:
            who = pwd.getpwnam("postgres")
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            self.user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        secret = os.path.join(folder, "pg.password")
        with open(secret, "w", encoding="ascii") as f:
            f.write(self.password)
        os.chmod(secret, 0o644)
        self._run("initdb", "-D", self.folder, "--username=localrag", "--encoding=UTF8", "--locale=C.UTF-8",
                  "--auth=scram-sha-256", f"--pwfile={secret}", "--no-instructions")
        os.unlink(secret)
        with open(os.path.join(self.folder, "postgresql.conf"), "a", encoding="ascii") as f:
            f.write("listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 150\n"
                    "max_wal_size = 512MB\njit = off\nlog_line_prefix = '%m [%p] '\nlog_lock_waits = on\n")

    def _run(self, program, *arguments):
        subprocess.run([f"{PG_BIN}/{program}", *arguments], check=True, cwd="/", stdout=self.log, stderr=self.log,
                       **self.user)

    def spawn(self):
        self.process = subprocess.Popen(
            [f"{PG_BIN}/postgres", "-D", self.folder, "-p", str(self.port)], cwd="/", stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log, start_new_session=True, **self.user)
        return self.process

    def ready(self):
        try:
            with open(os.path.join(self.folder, "postmaster.pid"), encoding="ascii") as f:
                lines = f.read().splitlines()
            return int(lines[0]) == self.process.pid and lines[7].strip() == "ready"
        except (OSError, IndexError, ValueError):
            return False

    def url(self, database, host="127.0.0.1", port=None, role="localrag"):
        return f"postgresql://{role}:{self.password}@{host}:{port or self.port}/{database}"

    def sql(self, database, query, check=True):
        """Rows as lists of texts; NULL is an empty text."""
        done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-F", "\x1f", self.url(database)],
                              input=query, capture_output=True, text=True, check=False,
                              env={**os.environ, "PGCONNECT_TIMEOUT": "5"})
        if done.returncode != 0:
            if check:
                raise RuntimeError("psql: " + done.stderr.strip())
            return None
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def assert_guards(self, database):
        for guard in GUARDS:
            if self.sql(database, f"SHOW {guard}") != [["on"]]:
                raise RuntimeError(f"{guard} is not on")

    def backends(self):
        """Pids of backends that serve the programs."""
        pids = [p for p in procs.children(self.process.pid)]
        found = []
        for pid in pids:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    title = f.read().decode("latin-1")
            except OSError:
                continue
            if "127.0.0.1(" in title:
                found.append(pid)
        return found


class Redis:
    def __init__(self, folder, log):
        self.folder, self.log = os.path.join(folder, "redis"), log
        self.password, self.port = secrets.token_hex(16), procs.free_port()
        self.process = None
        os.mkdir(self.folder, 0o700)
        with open(os.path.join(self.folder, "redis.conf"), "w", encoding="ascii") as f:
            f.write(f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\nsave \"\"\nappendonly no\n"
                    "maxmemory 256mb\nmaxmemory-policy noeviction\nenable-debug-command local\n")

    def spawn(self):
        self.process = subprocess.Popen(["redis-server", "./redis.conf"], cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        return self.process

    def ready(self):
        try:
            return self.ask(["PING"], timeout=1)[0] == b"PONG"
        except OSError:
            return False

    def url(self, host="127.0.0.1", port=None):
        return f"redis://default:{self.password}@{host}:{port or self.port}/0"

    def ask(self, *commands, timeout=30):
        """Sends the commands at once, returns an answer for each; an error is a text that begins with '-'."""
        commands = [["AUTH", self.password], *commands]
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s, s.makefile("rb") as f:
            for words in commands:
                words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
                s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            return [self._reply(f) for _ in commands][1:]

    def _reply(self, f):
        line = f.readline()
        if not line:
            raise ConnectionResetError("redis hung up")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else f.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._reply(f) for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest if kind == b"+" else line[:-2].decode()

    def info(self, key):
        for line in self.ask(["INFO"])[0].decode().splitlines():
            if line.startswith(key + ":"):
                return line.split(":", 1)[1]
        raise RuntimeError(f"redis tells no {key}")


def end(process, number=signal.SIGTERM, seconds=30):
    """Stops a child and reaps it; killed when it takes longer."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def need(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        raise RuntimeError("missing programs: " + ", ".join(missing))
