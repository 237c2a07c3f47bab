# SPDX-License-Identifier: AGPL-3.0-or-later
"""lines.py - runs every curl line and every `python cli.py` line of the contract, as printed.

Environment: HTTP (host:port), DOCUMENT, DIRECTORY, WORK (a folder in which `python`, cli.py and `localrag`
are found); LOCALRAG_SERVER for the command line. Lines are read from the document, so one that is added
there is run here; a line without an entry in EXPECTED fails, and so does an entry without a line. Only host,
port, the two paths and {job_id} are substituted. Each goes through bash, as a person would paste it: an
unquoted "&" does what it does there.

Lines that need a waiting job run first, while the workers are stopped; the others in their order, with a
job that suits them.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ENV = os.environ
JOB_KEYS = {
    "job_id", "task_type", "priority", "status", "created_at", "started_at", "completed_at", "progress",
    "error_message", "retry_count", "worker_id", "actual_duration", "result",
}  # fmt: skip
STATES = {"pending", "processing", "completed", "failed", "cancelled", "retrying"}
failures = []


def check(what, ok, shown=""):
    if not ok:
        failures.append(what)
        print(f"BROKEN: {what}\n    {str(shown)[:600]}")
    return ok


# ---- what each answer must be: functions of (text, JSON or None, job) ----


def keys(*wanted, **values):
    def look(_text, answer, _job):
        return (
            isinstance(answer, dict)
            and set(wanted) | set(values) <= set(answer)
            and all(answer[k] == v or (callable(v) and v(answer[k])) for k, v in values.items())
        )

    return look


def jobs_that(test):
    def look(_text, answer, _job):
        return answer["total"] >= 1 and all(JOB_KEYS <= set(j) and test(j) for j in answer["jobs"])

    return look


def of_job(**values):
    """The answer is about the job that was asked for."""

    def look(text, answer, job):
        return answer["job_id"] == job and keys(**values)(text, answer, job)

    return look


def printed(*parts):
    def look(text, _answer, job):
        return all(part.replace("{job_id}", job or "") in text for part in parts)

    return look


def worker_blocks(text, _answer, _job):
    lines = text.rstrip("\n").split("\n")
    block = r"[✅❌] (high-priority-\d+ \(high\)|general-\d+ \(any\))\n   Processed: \d+\n   Failed: \d+(\n   Current job: [0-9a-f-]{36})?"
    return lines[0] == "👷 Background Worker Status:" and lines[1] == "=" * 30 and bool(
        re.fullmatch(f"{block}(\n\n{block})*(\n\n[^\n]+)?", "\n".join(lines[2:]))
    )


def is_queue(q):
    return set(q) == {"queue_lengths", "total_pending"} and set(q["queue_lengths"]) == {"high", "medium", "low"}


WORKERS = keys("worker_count", "running_workers", "total_processed", "total_failed",
               status=lambda s: s in ("healthy", "degraded", "stopped"), queue_stats=is_queue)  # fmt: skip
J = "curl http://localhost:8080/api/v1/jobs"
POST = "curl -X POST http://localhost:8080/api/v1"

# line: (what job it needs or None, what must come)
EXPECTED = {
    'curl -X POST -F "file=@document.pdf" http://localhost:8080/api/v1/documents/upload': (
        None, keys("job_id", "file_path", status="queued",
                   message=lambda m: m.startswith("Document 'document.pdf' queued for processing"))),
    """curl -X POST -H "Content-Type: application/json" -d '{"directory_path": "/app/data/uploads", "file_patterns": ["*.pdf", "*.docx"]}' http://localhost:8080/api/v1/documents/ingest-directory""": (
        None, keys("job_id", "directory_path", status="queued", total_files_found=1,
                   message=lambda m: m.startswith("Directory processing queued. Found 1 file"))),
    f"{J}/{{job_id}}": ("completed", of_job(status="completed", progress=100)),
    f"{J}/{{job_id}}/progress": ("completed", of_job(progress=100, message=bool, updated_at=bool)),
    f"{J}/{{job_id}}/result": ("completed", of_job(result=lambda r: r["document_id"] and r["chunk_count"] >= 1)),
    f"{J}?limit=20": (None, jobs_that(lambda j: j["status"] in STATES)),
    f"{J}?status=processing&limit=10": (None, keys("total", jobs=lambda l: all(j["status"] == "processing" for j in l))),
    "curl http://localhost:8080/api/v1/workers": (
        None, keys(workers=lambda ws: ws and all({"worker_id", "is_running", "processed_count"} <= set(w) for w in ws))),
    "curl http://localhost:8080/api/v1/health/workers": (None, WORKERS),
    "curl http://localhost:8080/api/v1/health": (None, keys("status", components=lambda c: "workers" in c)),
    f"{POST}/workers/start": (None, keys(status=lambda s: s in ("running", "starting"))),
    f"{POST}/workers/stop": (None, keys(status=lambda s: s in ("stopped", "stopping"))),
    f"{POST}/jobs/{{job_id}}/cancel": ("pending", of_job(status="cancelled", message=lambda m: "cancelled successfully" in m)),
    f"{POST}/jobs/{{job_id}}/retry": ("cancelled", of_job(status="pending", message=lambda m: "queued for retry" in m)),
    'curl -X DELETE "http://localhost:8080/api/v1/jobs/cleanup?days_old=7"': (
        None, keys(deleted=0, message="Cleaned up 0 jobs older than 7 days")),
    f"{J}/statistics": (
        None, keys("total_24h", status_counts=lambda c: set(c) <= STATES and c["completed"] >= 1,
                   processing_times=lambda t: set(t["completed"]) == {"avg_seconds", "max_seconds", "min_seconds"},
                   queue_stats=is_queue)),
    "python cli.py workers start": (None, printed("workers are running")),
    "python cli.py workers status": (None, worker_blocks),
    "python cli.py jobs list": (None, printed("single_document", "completed")),
    "python cli.py jobs list --status processing --limit 10": (None, printed("STATUS")),
    "python cli.py jobs list --status failed": ("failed", printed("{job_id}", "failed")),
    "python cli.py jobs status {job_id}": ("completed", printed("{job_id}", "completed")),
    "python cli.py jobs cancel {job_id}": ("pending", printed("{job_id}", "cancelled successfully")),
    "python cli.py jobs cleanup --days 7": (None, printed("Cleaned up 0 jobs older than 7 days")),
}  # fmt: skip


def lines_of_the_contract():
    """Command lines of the fenced blocks, continuations joined, in order."""
    text = (HERE / "background-processing.md").read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"```bash\n(.*?)```", text, re.S):
        for line in re.sub(r"\\\n\s*", "", block).split("\n"):
            line = line.strip()
            if line.startswith(("curl ", "python ")):
                found.append(line)
    # in running text, as `python cli.py workers start`
    found += [f"python {rest}" for rest in re.findall(r"`python (cli\.py [^`]*)`", text)]
    return found


def run(line, job):
    for old, new in (
        ("localhost:8080", ENV["HTTP"]),
        ("@document.pdf", "@" + ENV["DOCUMENT"]),
        ("/app/data/uploads", ENV["DIRECTORY"]),
        ("{job_id}", job or "{job_id}"),
    ):
        line = line.replace(old, new)
    line = re.sub(r"^curl ", "curl -sS --max-time 60 ", line)
    # "wait": an unquoted & puts curl into the background
    done = subprocess.run(["bash", "-c", f"{line}\nstatus=$?\nwait\nexit $status"], cwd=ENV["WORK"], capture_output=True,
                          text=True, timeout=90, check=False)  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def rest(method, path, body=None, headers=None):
    request = urllib.request.Request(f"http://{ENV['HTTP']}/api/v1{path}", body, headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def upload(name, text):
    body = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{text}\r\n--x--\r\n'
    return rest("POST", "/documents/upload", body.encode(), {"Content-Type": "multipart/form-data; boundary=x"})["job_id"]


def ended(job):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        state = rest("GET", f"/jobs/{job}")["status"]
        if state in ("completed", "failed", "cancelled"):
            return state
        time.sleep(0.05)
    return "still " + state


def one(line, job):
    wanted = EXPECTED[line][1]
    status, text, errors = run(line, job)
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    try:
        good = wanted(text, answer, job)
    except (KeyError, TypeError) as e:
        good, errors = False, f"{errors} {e!r}"
    print(f"{line[:110]}")
    check(line, status == 0 and good, f"exit {status}: {text} {errors}")


def main():
    lines = lines_of_the_contract()
    for line in lines:
        check(f'the contract\'s line "{line}" has no entry in EXPECTED', line in EXPECTED)
    for line in EXPECTED:
        check(f'"{line}" is not in the contract', line in lines)
    lines = [line for line in lines if line in EXPECTED]

    jobs = {"completed": upload("done.txt", "A lighthouse."), "failed": upload("broken.pdf", "%PDF-1.4 nothing")}
    for state, job in jobs.items():
        check(f"there is a {state} job", ended(job) == state, rest("GET", f"/jobs/{job}"))
    rest("POST", "/workers/stop")
    cancelled = []
    for number, line in enumerate(l for l in lines if EXPECTED[l][0] == "pending"):
        cancelled.append(upload(f"wait{number}.txt", f"Waiting document {number}."))
        one(line, cancelled[-1])
    rest("POST", "/workers/start")
    ran = 0
    for line in lines:
        need = EXPECTED[line][0]
        if need != "pending":
            one(line, cancelled.pop() if need == "cancelled" else jobs.get(need))
            ran += 1
    print(f"{len(lines)} lines, {len(failures)} broken")
    sys.exit(1 if failures or not ran else 0)


if __name__ == "__main__":
    main()
