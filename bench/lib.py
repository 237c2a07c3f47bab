# SPDX-License-Identifier: AGPL-3.0-or-later
"""lib.py - what all benchmarks share: a whole system to measure, a small client, a report.

A benchmark is a program bench/NAME.py with a function bench(report) and, at its end,
lib.main(bench). Called without TEST_DATABASE_URL and TEST_REDIS_URL it runs itself again under
tests/support/with-servers.sh, so each can be started alone. Exit status: 0 all bars met, 1 not, 2 it
could not measure (something it needs is missing).

Only the standard library is used, psql for SQL, and what the programs offer to everybody: nothing
here knows the inside of the server.
"""
import contextlib
import datetime
import http.client
import json
import math
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
BIN = os.path.join(os.environ.get("BENCH_BUILD") or os.path.join(ROOT, "build", "release"), "bin")
ENDED = ("completed", "failed", "cancelled")
BOUNDARY = "localrag-bench-3f9c1d7a"
median = statistics.median


class CannotMeasure(Exception):
    """Something that the measurement needs is not there."""


# ---- files to measure with ----------------------------------------------------------------------

def corpus(*parts, needed=True):
    """A path in the corpus: CORPUS, else ../shared/corpus beside the checkout."""
    top = os.environ.get("CORPUS") or os.path.join(ROOT, "..", "shared", "corpus")
    path = os.path.join(top, *parts)
    if os.path.exists(path):
        return path
    if needed:
        raise CannotMeasure("there is no \"%s\"; set CORPUS to the folder that holds born/, scans/ "
                            "and hostile/" % os.path.join("$CORPUS", *parts))
    return None


def read(path):
    with open(path, "rb") as f:
        return f.read()


def fresh(data):
    """The same PDF with bytes nobody has seen: a comment line behind its end."""
    return data + b"\n%% %032x\n" % random.getrandbits(128)


# ---- the system under test ----------------------------------------------------------------------

def free_port():
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def wait_until(what, condition, seconds, every=0.05):
    """The condition's first true value; CannotMeasure after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise CannotMeasure("waited %g s in vain until %s" % (seconds, what))
        time.sleep(every)


class Stack:
    """localrag-server and its workers with a database, a queue and a data folder of their own.

    `with Stack(NAME=value) as s:`; the settings are those of the environment variables, all others
    have their defaults. Healthy once entered, stopped and removed when left.
    """

    def __init__(self, **settings):
        self.settings = settings
        self.server = None

    def __enter__(self):
        if not os.access(os.path.join(BIN, "localrag-server"), os.X_OK):
            raise CannotMeasure("no localrag-server in \"%s\"; ./dev build makes it" % BIN)
        os.makedirs(os.path.join(ROOT, ".dev"), exist_ok=True)
        # On the checkout's disk, where ./dev keeps its data: /tmp may be memory.
        self.tmp = tempfile.mkdtemp(prefix="bench-", dir=os.path.join(ROOT, ".dev"))
        self.data = os.path.join(self.tmp, "data")
        self.spare = os.path.join(self.tmp, "tmp")  # the programs' TMPDIR
        os.mkdir(self.data)
        os.mkdir(self.spare)
        self.log = os.path.join(self.tmp, "log")
        self.name = "b%d_%08x" % (os.getpid(), random.getrandbits(32))
        self.port, self.grpc_port, self.admin_port = free_port(), free_port(), free_port()
        psql(os.environ["TEST_DATABASE_URL"], "CREATE DATABASE %s" % self.name)
        self.database = re.sub(r"/localrag(?=[?]|$)", "/" + self.name, os.environ["TEST_DATABASE_URL"])
        try:
            self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def environment(self):
        """What the programs of this stack are started with."""
        ours = re.compile("(TASK_|POSTGRES_|REDIS_|OCR_|EXTRACT_|LOG_|DATABASE_URL$|HOST$|DATA_PATH$|UPLOADS_PATH$)")
        env = {k: v for k, v in os.environ.items() if not ours.match(k)}
        env.update(DATABASE_URL=self.database, REDIS_URL=os.environ["TEST_REDIS_URL"],
                   TASK_QUEUE_NAME=self.name, PORT=str(self.port), GRPC_PORT=str(self.grpc_port),
                   ADMIN_PORT=str(self.admin_port), DATA_PATH=self.data, TMPDIR=self.spare,
                   LOG_FORMAT="text", SHUTDOWN_GRACE="1")
        env.update({k: str(v) for k, v in self.settings.items()})
        return env

    def program(self, name, **settings):
        """Starts one of them; its log is the stack's."""
        env = self.environment()
        env.update({k: str(v) for k, v in settings.items()})
        with open(self.log, "ab") as log:
            return subprocess.Popen([os.path.join(BIN, name)], cwd=self.tmp, env=env, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, start_new_session=True)

    def start(self):
        self.server = self.program("localrag-server")
        wait_until("the server is healthy", self.healthy, 90)

    def healthy(self):
        if self.server.poll() is not None:
            raise CannotMeasure("the server ended with status %d" % self.server.returncode)
        try:
            if http_get(self.admin_port, "/readyz")[0] != 200:
                return False
            status = http_get(self.port, "/api/v1/health/workers")[1]["status"]
        except OSError:
            return False
        if self.settings.get("TASK_MAX_WORKERS") == 0:
            return True
        return status == "healthy"

    def __exit__(self, kind, error, trace):
        if self.server and self.server.poll() is None:
            self.server.terminate()
            try:
                self.server.wait(40)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        if kind not in (None, KeyboardInterrupt, SystemExit):
            print("--- the end of the server's log", file=sys.stderr)
            subprocess.run(["tail", "-n", "40", self.log], stdout=sys.stderr, check=False)
        with contextlib.suppress(CannotMeasure):
            psql(os.environ["TEST_DATABASE_URL"], "DROP DATABASE IF EXISTS %s WITH (FORCE)" % self.name)
        keep = os.environ.get("BENCH_KEEP_LOG")
        if keep:
            shutil.copy(self.log, keep)
        shutil.rmtree(self.tmp, ignore_errors=True)

    # -- its processes

    def worker(self):
        """The worker process that runs now, 0: none."""
        return next(iter(children(self.server.pid, "localrag-worker")), 0)

    def zygote(self):
        return next(iter(children(self.worker(), "localrag-extract")), 0)

    def readers(self):
        """The zygote's children: one a document or page that is being read."""
        return children(self.zygote())

    # -- its client side

    def connect(self, timeout=330):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def get(self, path):
        status, body = http_get(self.port, path)
        if status != 200:
            raise CannotMeasure("GET %s answered %d: %s" % (path, status, body))
        return body

    def post(self, path, body=None):
        c = self.connect()
        c.request("POST", path, json.dumps(body or {}), {"Content-Type": "application/json"})
        r = c.getresponse()
        answer = json.loads(r.read() or b"null")
        c.close()
        return r.status, answer

    def sql(self, query):
        """Rows, as lists of texts."""
        return [line.split("\t") for line in psql(self.database, query).splitlines()]

    def upload(self, name, data):
        """Sends it, returns the job's id; the upload must be accepted."""
        status, answer, _, _ = self.send(name, data)
        if status != 202:
            raise CannotMeasure("upload of \"%s\" answered %d: %s" % (name, status, answer))
        return answer["job_id"]

    def send(self, name, data, sock=None):
        """Returns HTTP status, answer, and when the first byte was sent and the last one came."""
        request = upload_request(name, data)
        own = None if sock else socket.create_connection(("127.0.0.1", self.port), timeout=330)
        s = sock or own
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        first = time.monotonic()
        try:
            s.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused early; the answer is there
        r = http.client.HTTPResponse(s, method="POST")
        r.begin()
        body = r.read()
        last = time.monotonic()
        if own:
            own.close()
        return r.status, json.loads(body), first, last

    def events(self, job_id, connection=None):
        """The job as a watcher sees it: (when, job) for every event, up to the terminal one."""
        c = connection or self.connect()
        c.request("GET", "/api/v1/jobs/%s/events" % job_id)
        r = c.getresponse()
        if r.status != 200:
            raise CannotMeasure("the events of a job answered %d: %s" % (r.status, r.read()))
        while True:
            line = r.readline()
            if not line:
                raise CannotMeasure("the stream of job %s ended before the job" % job_id)
            if not line.startswith(b"data:"):
                continue
            job = json.loads(line[5:])
            when = time.monotonic()
            yield when, job.get("job", job)
            if job.get("job", job)["status"] in ENDED:
                c.close()
                return

    def wait(self, job_id, connection=None):
        """The job in its terminal state and when that was seen."""
        for when, job in self.events(job_id, connection):
            if job["status"] in ENDED:
                return job, when
        raise AssertionError("not reached")

    def completed(self, name, data):
        """Sends it, watches it; seconds from the first byte sent to the state seen, and the job."""
        watch = self.connect()
        watch.connect()
        status, answer, first, _ = self.send(name, data)
        if status != 202:
            raise CannotMeasure("upload of \"%s\" answered %d: %s" % (name, status, answer))
        job, seen = self.wait(answer["job_id"], watch)
        if job["status"] != "completed":
            raise CannotMeasure("\"%s\" ended %s: %s" % (name, job["status"], job.get("error_message")))
        return seen - first, job

    def page_texts(self, document_id):
        """The stored text of every page, in order."""
        texts, token = [], ""
        while True:
            path = "/api/v1/documents/%s/pages?text=true&limit=200" % document_id
            answer = self.get(path + ("&page_token=" + token if token else ""))
            texts += [p.get("text") or "" for p in answer["pages"]]
            token = answer.get("next_page_token")
            if not token:
                return texts


def http_get(port, path):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        c.request("GET", path)
        r = c.getresponse()
        body = r.read()
    except http.client.HTTPException as e:
        raise OSError(str(e)) from e
    finally:
        c.close()
    json_like = "json" in (r.getheader("Content-Type") or "")
    return r.status, json.loads(body) if json_like else body


def upload_parts(name, size):
    """What goes before and behind the bytes of a file in an upload over REST."""
    head = ("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"%s\"\r\n"
            "Content-Type: application/octet-stream\r\n\r\n" % (BOUNDARY, name)).encode()
    tail = ("\r\n--%s--\r\n" % BOUNDARY).encode()
    start = ("POST /api/v1/documents/upload HTTP/1.1\r\nHost: localhost\r\n"
             "Content-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n"
             % (BOUNDARY, len(head) + size + len(tail))).encode()
    return start + head, tail


def upload_request(name, data):
    head, tail = upload_parts(name, len(data))
    return head + data + tail


def psql(url, query, file=None):
    first = ["-f", file] if file else []
    done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-F", "\t", *first, "-c", query, url],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotMeasure("psql: " + done.stderr.strip())
    return done.stdout


def redis(*words):
    """The answer of one command, as redis-cli prints it."""
    done = subprocess.run(["redis-cli", "--no-auth-warning", "-u", os.environ["TEST_REDIS_URL"], *words],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotMeasure("redis-cli: " + (done.stderr or done.stdout).strip())
    return done.stdout.strip()


# ---- very many rows, and small jobs without the API ---------------------------------------------

BULK = os.path.join(ROOT, "tests", "support", "bulk.sql")


def fill(url, total, insert, sessions=2):
    """Rows 1 to `total` of processing_jobs by `insert`, a statement that has %(first)d and %(last)d."""
    started = time.monotonic()
    # Indexes go before the rows and come back behind them. They are kept where every session sees them.
    psql(url, file=BULK, query="SELECT pg_temp.indexes_off('processing_jobs'); "
                               "CREATE TABLE bench_indexes AS SELECT * FROM bulk_indexes")
    step = -(-total // sessions)
    parts = [[(first, min(first + 99999, last)) for first in range(begin, last + 1, 100000)]
             for begin, last in ((1 + i * step, min((i + 1) * step, total)) for i in range(sessions))]
    run_all([lambda part=part: [psql(url, insert % {"first": a, "last": b}) for a, b in part] for part in parts])
    psql(url, file=BULK, query="INSERT INTO bulk_indexes SELECT * FROM bench_indexes; DROP TABLE bench_indexes; "
                               "SELECT pg_temp.indexes_on()")
    psql(url, "VACUUM ANALYZE processing_jobs")
    os.sync()  # gigabytes that still wait for the disk would be in everyone's way
    note("%d rows in %.0f s" % (total, time.monotonic() - started))


def run_all(functions):
    """All at once; the first failure is raised."""
    failures = []

    def run(function):
        try:
            function()
        except Exception as e:  # pylint: disable=broad-except
            failures.append(e)
    threads = [threading.Thread(target=run, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]


class Loop:
    """bench-loop (loop.c) on the database and queue of a Stack: its seconds, as it prints them."""

    def __init__(self, stack, length, threads=8, pace_ms=0, how="submit"):
        program = os.path.join(BIN, "bench-loop")
        if not os.access(program, os.X_OK):
            raise CannotMeasure("there is no \"%s\"; ./dev bench builds it" % program)
        env = dict(os.environ, DATABASE_URL=stack.database, REDIS_URL=os.environ["TEST_REDIS_URL"],
                   TASK_QUEUE_NAME=stack.name, DATA_PATH=stack.data, LOG_LEVEL="error")
        env.update({k: str(v) for k, v in stack.settings.items() if k != "TASK_MAX_WORKERS"})  # its sweep's too
        self.seconds = []
        self.process = subprocess.Popen([program, str(length), str(threads), str(pace_ms), how], env=env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.seconds.append(dict(json.loads(line), at=time.monotonic()))

    def wait(self):
        """Its seconds but for the first, which it needs to begin."""
        self.process.wait()
        self.reader.join()
        if self.process.returncode != 0:
            raise CannotMeasure("bench-loop ended with status %d" % self.process.returncode)
        return self.seconds[1:]


def all_of(seconds, what):
    """Samples of all seconds, sorted."""
    return sorted(v for s in seconds for v in s[what])


def percentile(values, p):
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def rate(seconds):
    return sum(s["jobs"] for s in seconds) / len(seconds)


# ---- processes ----------------------------------------------------------------------------------

def stat_of(pid):
    """Name and the fields of /proc/PID/stat behind it (state is [0]); None when it is gone."""
    try:
        text = read("/proc/%d/stat" % pid).decode("latin-1")
    except (OSError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    return name, text[text.rindex(")") + 2:].split()


def program_of(pid):
    """The name it was started by; its name in the kernel may be another ("exe")."""
    try:
        return os.path.basename(read("/proc/%d/cmdline" % pid).split(b"\0")[0].decode("latin-1"))
    except OSError:
        return ""


def children(pid, program=None):
    """Pids of the children that run it (None: any); not what is only waiting to be reaped."""
    if not pid:
        return []
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = stat_of(int(entry))
            if stat and int(stat[1][1]) == pid and stat[1][0] != "Z":
                found.append(int(entry))
    return sorted(p for p in found if program is None or program_of(p) == program)


def identity(pid):
    """Tells a process from a later one with the same number."""
    stat = stat_of(pid)
    return (pid, stat[1][19]) if stat else None


def cpu_seconds(pid):
    """User and system time; from the scheduler where it can be had, finer than clock ticks."""
    try:
        tasks = os.listdir("/proc/%d/task" % pid)
        return sum(int(read("/proc/%d/task/%s/schedstat" % (pid, t)).split()[0]) for t in tasks) / 1e9
    except (OSError, IndexError):
        stat = stat_of(pid)
        return (int(stat[1][11]) + int(stat[1][12])) / os.sysconf("SC_CLK_TCK") if stat else 0.0


def tree(pid):
    """The process and all below it."""
    return [pid] + [p for child in children(pid) for p in tree(child)]


def percentile(values, p):
    """By nearest rank: a value that was measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(p / 100 * len(ordered)) - 1)]


def kilobytes(pid, file, key):
    """A line like `Rss:  123 kB` of /proc/PID/file, in bytes."""
    for line in read("/proc/%d/%s" % (pid, file)).decode().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise CannotMeasure("no %s in /proc/%d/%s" % (key, pid, file))


# ---- the report ---------------------------------------------------------------------------------

class Report:
    """Rows for people on the terminal, the same as JSON lines in .dev/bench/NAME.jsonl."""

    def __init__(self, name):
        self.name = name
        self.out = os.environ.get("BENCH_OUT") or os.path.join(ROOT, ".dev", "bench", name + ".jsonl")
        self.broken = 0
        self.head = False

    def row(self, what, figure, bar, met, unit="", **details):
        """met None: for information, there is no bar."""
        if not self.head:
            print("%-34s %-22s %-16s" % ("what", "figure", "bar"))
            self.head = True
        shown = "%.4g" % figure if isinstance(figure, float) else str(figure)
        verdict = "" if met is None else "ok" if met else "NOT MET"
        print("%-34s %-22s %-16s %s" % (what, (shown + " " + unit).strip(), bar, verdict), flush=True)
        self.broken += met is False
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        line = {"time": now, "bench": self.name, "what": what, "figure": figure, "unit": unit, "bar": bar,
                "met": met, "nproc": os.cpu_count(), "load1": os.getloadavg()[0]}
        line.update(details)
        os.makedirs(os.path.dirname(self.out), exist_ok=True)
        with open(self.out, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")

    def at_most(self, what, figure, limit, unit="", **details):
        self.row(what, figure, "<= %g" % limit, figure <= limit, unit, **details)

    def at_least(self, what, figure, limit, unit="", **details):
        self.row(what, figure, ">= %g" % limit, figure >= limit, unit, **details)

    def below(self, what, figure, limit, unit="", **details):
        self.row(what, figure, "< %g" % limit, figure < limit, unit, **details)


def note(text):
    print("    " + text, flush=True)


def main(bench):
    path = os.path.realpath(sys.argv[0])
    if not os.environ.get("TEST_DATABASE_URL") or not os.environ.get("TEST_REDIS_URL"):
        with_servers = os.path.join(ROOT, "tests", "support", "with-servers.sh")
        os.execv(with_servers, [with_servers, sys.executable, path] + sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    name = os.path.splitext(os.path.basename(path))[0].rstrip("_")
    report = Report(name)
    try:
        bench(report)
    except CannotMeasure as e:
        print("bench/%s.py: %s" % (name, e), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1 if report.broken else 0)
