# SPDX-License-Identifier: AGPL-3.0-or-later
"""stack.py - the system under test: a server with its workers, two more pools in network namespaces of their
own, PostgreSQL and Redis behind the proxy, uploads on a small disk.

  server            localrag-server and the pool that it supervises, here
  east, west        a localrag-worker each, in a namespace with a host name of its own, linked by a veth pair

Whatever dies is started again by one thread (Keeper), as an init system would, unless a fault holds it down.
Every process carries LOCALRAG_CHAOS=FOLDER in its environment, so that nothing that stays behind is missed.
"""
import contextlib
import glob
import http.client
import os
import subprocess
import threading
import time

import procs
import proxy
import servers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
SETTINGS = {"TASK_RETRY_DELAY": "1", "SHUTDOWN_GRACE": "3", "TASK_PROGRESS_UPDATE_INTERVAL": "0.5",
            "LOG_FORMAT": "json", "PAGE_TIMEOUT": "30", "TASK_BATCH_SIZE": "8", "EXTRACT_PROCESSES": "1"}
POOLS = {"server": (2, 1), "east": (2, 0), "west": (2, 0)}  # workers, of them for high priority only
DISK = 192 << 20


class Program:
    """One process that is wanted; `held` keeps it down while a fault lasts."""

    def __init__(self, name, spawn):
        self.name, self.spawn = name, spawn
        self.process, self.held, self.again_at = None, False, 0.0
        self.starts, self.ends = 0, []

    def pid(self):
        return self.process.pid if self.process and self.process.poll() is None else 0


class Keeper(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True, name="keeper")
        self.programs, self.done, self.lock = {}, threading.Event(), threading.Lock()

    def add(self, program):
        program.process, program.starts = program.spawn(), 1
        self.programs[program.name] = program

    def run(self):
        while not self.done.wait(0.03):
            for p in list(self.programs.values()):
                with self.lock:
                    self.look(p)

    def look(self, p):
        if self.done.is_set() or p.held or p.process.poll() is None:
            return
        now = time.monotonic()
        if not p.again_at:
            p.ends.append(p.process.returncode)
            p.again_at = now + 0.1
        elif now >= p.again_at:
            p.process, p.again_at = p.spawn(), 0.0
            p.starts += 1

    def remove(self, name):
        with self.lock:
            return self.programs.pop(name, None)


class Network:
    """A namespace with a host name of its own and a link to here."""

    def __init__(self, name, number):
        tag = f"lrc{os.getpid() % 100000}"
        self.host, self.ns = name, f"{tag}{name[0]}"
        self.here, self.there = f"{tag}{name[0]}0", f"{tag}{name[0]}1"
        base = os.getpid() * 2 + number
        net = f"10.{200 + base // 16384 % 50}.{base // 64 % 256}.{base % 64 * 4}".rsplit(".", 1)
        self.address, self.inside = f"{net[0]}.{int(net[1]) + 1}", f"{net[0]}.{int(net[1]) + 2}"

    def ip(self, *words, check=True):
        return subprocess.run(["ip", *words], check=check, capture_output=True)

    def up(self):
        self.ip("netns", "add", self.ns)
        self.ip("link", "add", self.here, "type", "veth", "peer", "name", self.there, "netns", self.ns)
        self.ip("addr", "add", f"{self.address}/30", "dev", self.here)
        self.ip("link", "set", self.here, "up")
        for words in (["addr", "add", f"{self.inside}/30", "dev", self.there], ["link", "set", self.there, "up"],
                      ["link", "set", "lo", "up"]):
            self.ip("-n", self.ns, *words)

    def link(self, state):
        self.ip("link", "set", self.here, state)

    def reaches(self, port):
        """Can a process in there connect to us?"""
        return subprocess.run(["ip", "netns", "exec", self.ns, "timeout", "1", "bash", "-c",
                               f"exec 3<>/dev/tcp/{self.address}/{port}"], capture_output=True, check=False).returncode == 0

    def command(self, program):
        return ["ip", "netns", "exec", self.ns, "unshare", "--uts", "sh", "-c",
                'hostname "$1" && exec "$2"', "sh", self.host, program]

    def down(self):
        self.ip("netns", "del", self.ns, check=False)
        self.ip("link", "del", self.here, check=False)


class Stack:
    def __init__(self, folder, binaries, sanitized):
        self.folder, self.bin, self.sanitized = folder, binaries, sanitized
        self.database, self.mark = "chaos", f"LOCALRAG_CHAOS={folder}"
        self.port, self.grpc, self.admin = procs.free_port(), procs.free_port(), procs.free_port()
        self.data, self.uploads = os.path.join(folder, "data"), os.path.join(folder, "uploads")
        self.inbox, self.temp = os.path.join(folder, "data", "in"), os.path.join(folder, "tmp")
        self.logs = os.path.join(folder, "log")
        for path in (self.data, self.uploads, self.inbox, self.temp, self.logs):
            os.mkdir(path)
        self.networks = {name: Network(name, i) for i, name in enumerate(("east", "west"))}
        self.keeper, self.ports, self.proxy = Keeper(), {}, None
        self.postgres = self.redis = None
        self.turns = 0

    def open_log(self, name):
        return open(os.path.join(self.logs, name + ".log"), "ab")

    def start(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "localrag-chaos", self.uploads], check=True)
        self.postgres = servers.Postgres(self.folder, self.open_log("postgres"))
        self.redis = servers.Redis(self.folder, self.open_log("redis"))
        listeners = []
        for party, host in (("server", "127.0.0.1"), *((n, w.address) for n, w in self.networks.items())):
            for what, port in (("pg", self.postgres.port), ("redis", self.redis.port)):
                self.ports[party, what] = (host, procs.free_port())
                listeners.append([f"{party}-{what}", *self.ports[party, what], "127.0.0.1", port])
        for network in self.networks.values():
            network.up()
        self.proxy = proxy.Control(listeners, self.open_log("proxy"))
        for name, server in (("postgres", self.postgres), ("redis", self.redis)):
            self.keeper.add(Program(name, server.spawn))
            procs.wait_until(f"{name} is ready", server.ready, 30)
        self.postgres.sql("postgres", f"CREATE DATABASE {self.database}")
        self.postgres.assert_guards(self.database)
        for party in POOLS:  # a role each, so that the audit knows who wrote
            self.postgres.sql("postgres", f"CREATE ROLE {party} SUPERUSER LOGIN PASSWORD '{self.postgres.password}'")
            self.set_clock(party, "+0")
        self.keeper.start()
        self.keeper.add(Program("server", lambda: self.spawn("server")))
        procs.wait_until("the server is healthy", self.healthy, 60)
        for name in self.networks:
            self.keeper.add(Program(name, lambda name=name: self.spawn(name)))

    def environment(self, party, **more):
        host, pg = self.ports[party, "pg"]
        workers, high = POOLS[party]
        env = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
        env.update(SETTINGS, DATABASE_URL=self.postgres.url(self.database, host, pg, party) + "?connect_timeout=5",
                   REDIS_URL=self.redis.url(*self.ports[party, "redis"]), TASK_QUEUE_NAME=self.database,
                   PORT=str(self.port), GRPC_PORT=str(self.grpc), ADMIN_PORT=str(self.admin), DATA_PATH=self.data,
                   UPLOADS_PATH=self.uploads, TMPDIR=self.temp, TASK_MAX_WORKERS=str(workers),
                   TASK_HIGH_PRIORITY_WORKERS=str(high), LOCALRAG_CHAOS=self.folder,
                   UBSAN_OPTIONS="print_stacktrace=1")
        env.update(more)
        return env

    def spawn(self, party):
        program = os.path.join(self.bin, "localrag-server" if party == "server" else "localrag-worker")
        command = [program] if party == "server" else self.networks[party].command(program)
        return subprocess.Popen(command, cwd=self.folder, env=self.environment(party, **self.clock(party)),
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.open_log(party),
                                start_new_session=True)

    # -- clocks: libfaketime reads the shift from a file whenever the time is asked for. It shares a semaphore with
    # the children of a process, and a worker that is killed with it in its hands would stop every worker that the
    # server starts after it. So only the pools that nobody supervises have it.

    def clock(self, party):
        library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if self.sanitized or not library or party == "server":
            return {}
        return {"LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": self.clock_file(party), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_ONLY_CMDS": "localrag-worker",
                "FAKETIME_XRESET": "1"}

    def clock_file(self, party):
        return os.path.join(self.folder, f"clock.{party}")

    def set_clock(self, party, shift):
        path = self.clock_file(party)
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(shift + "\n")
        os.rename(path + ".new", path)

    # -- its processes

    def worker(self, party):
        """Pid of the worker process of a pool; 0: none now."""
        if party == "server":
            pid = self.keeper.programs["server"].pid()
            return next(iter(procs.children(pid, "localrag-worker")), 0)
        pid = self.keeper.programs[party].pid()
        return pid if procs.program(pid) == "localrag-worker" else 0

    def zygote(self, party):
        return next(iter(procs.children(self.worker(party), "localrag-extract")), 0)

    def readers(self, party):
        return procs.children(self.zygote(party))

    def get(self, path, port=None, timeout=5):
        c = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout)
        try:
            c.request("GET", path)
            r = c.getresponse()
            return r.status, r.read(), r.headers
        except http.client.HTTPException as e:
            raise OSError(str(e)) from e
        finally:
            c.close()

    def healthy(self):
        with contextlib.suppress(OSError):
            return (self.get("/readyz", self.admin)[0] == 200
                    and b'"healthy"' in self.get("/api/v1/health/workers")[1])
        return False

    def turn(self):
        """Grows, so that faults do not always take the first of several."""
        self.turns += 1
        return self.turns

    hold = staticmethod(time.sleep)  # a fault lasts

    def sql(self, query, check=True):
        return self.postgres.sql(self.database, query, check)

    def stop(self):
        """Everything, in order; what is left of a run that failed is killed."""
        self.keeper.done.set()
        ends = {}
        with self.keeper.lock:
            for name in ("server", "east", "west"):
                program = self.keeper.programs.get(name)
                if program:
                    servers.end(program.process)
                    ends[name] = program.process.returncode
        for pid in procs.marked(self.mark.encode()):
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
        if self.proxy:
            self.proxy.stop()
        if self.redis:
            servers.end(self.redis.process)
        if self.postgres:
            servers.end(self.postgres.process, 2)
        for network in self.networks.values():
            network.down()
        subprocess.run(["umount", "-l", self.uploads], check=False, capture_output=True)
        for path in glob.glob("/dev/shm/*faketime_s[eh]m_*"):  # or who gets the pid of a killed one may wait for ever
            if not procs.program(int(path.rsplit("_", 1)[1])):
                os.unlink(path)
        return ends
