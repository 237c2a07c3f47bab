# SPDX-License-Identifier: AGPL-3.0-or-later
"""drain.py COUNT - sends COUNT no-op tasks to Redis, then runs them with a Celery worker (acks_late, no
results), and prints one JSON line: seconds from the first task's entry to the moment when nothing is
queued or unacknowledged, entries, different tasks. Sending is not timed. Redis is REDIS_URL; its
database is emptied. The pool is prefork with a process a core, the default."""
import json
import os
import subprocess
import sys
import tempfile
import time

import redis
from celery import Celery, signals

app = Celery("drain", broker=os.environ["REDIS_URL"])
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=64,
                worker_send_task_events=False, broker_connection_retry_on_startup=True,
                worker_hijack_root_logger=False, result_backend=None)
ran = []


@app.task(name="noop", bind=True)
def noop(self, _payload):
    ran.append((self.request.id, time.monotonic()))


@signals.worker_process_shutdown.connect
def write_down(**_):
    with open(os.path.join(os.environ["RAN"], str(os.getpid())), "w", encoding="utf-8") as f:
        json.dump(ran, f)


def main(count):
    store = redis.Redis.from_url(os.environ["REDIS_URL"])
    store.flushdb()
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(count):
            noop.apply_async(("x" * 180,), producer=producer)
    with tempfile.TemporaryDirectory() as folder:
        here = os.path.dirname(os.path.abspath(__file__))
        worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "drain", "worker", "-l", "ERROR",
                                   "--without-gossip", "--without-mingle", "--without-heartbeat"],
                                  cwd=here, env=dict(os.environ, RAN=folder, PYTHONDONTWRITEBYTECODE="1"),
                                  stdout=subprocess.DEVNULL)
        while store.llen("celery") + store.hlen("unacked") > 0:
            if worker.poll() is not None:
                sys.exit("the worker ended")
            time.sleep(0.01)
        last = time.monotonic()
        worker.terminate()
        worker.wait()
        runs = []
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                runs += json.load(f)
    store.flushdb()
    print(json.dumps({"peer": "celery", "jobs": count, "seconds": last - min(t for _, t in runs),
                      "entries": len(runs), "different": len({i for i, _ in runs}), "stored": len(runs)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
