# SPDX-License-Identifier: AGPL-3.0-or-later
"""conformance.py LOCALRAG - the same questions over REST, the command line and gRPC; the answers compared.

Environment: HTTP and GRPC (host:port), DATA (test documents), DIRECTORY (one the server may ingest), WORK
(a folder for stubs and files). About one object, answers are compared field by field; about things made
by the question itself (an upload's job), three are made alike and what must differ is replaced first.

With gRPC, every RPC and every route of the proto files must have been asked: a new one without a scenario
fails. Exit 0 all the same; 1 not; 77 all that could be asked was the same, but there is no grpcio here.
"""
import datetime
import os
import pathlib
import re
import sys
import threading
import time

from compare import Comparisons
from transports import Cli, Failure, Grpc, Rest

ENV = os.environ
DATA, WORK = pathlib.Path(ENV["DATA"]), pathlib.Path(ENV["WORK"])
NOBODY = "00000000-0000-0000-0000-000000000000"
ENDS = ("completed", "failed", "cancelled")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

compare = Comparisons()
rest = Rest(ENV["HTTP"])
cli = Cli(sys.argv[1], ENV["GRPC"])
MISSING = Grpc.missing()
grpc = None if MISSING else Grpc(ENV["GRPC"], WORK)


def rpc(name, **fields):
    return grpc.ask(name, **fields) if grpc else None


def each(way):
    """The answers of the three, made one after another by way(transport)."""
    return {t.name: way(t) for t in (rest, cli, grpc) if t}


def ended(job):
    until = time.monotonic() + 90
    while time.monotonic() < until:
        got = rest.ask("GET", f"/jobs/{job}")
        if got["status"] in ENDS:
            return got
        time.sleep(0.05)
    raise SystemExit(f"job {job} did not end: {got}")


def anonymous(answer):
    """The same with every id as "ID" and every time as the same time, for things made alike."""
    if isinstance(answer, dict):
        return {k: anonymous(v) for k, v in answer.items()}
    if isinstance(answer, list):
        return [anonymous(v) for v in answer]
    if isinstance(answer, datetime.datetime):
        return datetime.datetime(2000, 1, 1)
    return UUID.sub("ID", answer) if isinstance(answer, str) else answer


def alike(what, answers, loose=None):
    for name, answer in answers.items():
        if isinstance(answer, Failure):
            compare.fail(f"{what} by {name}", answer)
    compare.same(what, loose, **{n: anonymous(a) for n, a in answers.items()})
    return answers


# ---- scenarios ----


def uploads():
    """One document by each; ids, hashes and names of the same length. Returns the jobs by transport."""
    files = {}
    for name in ("rest", "cli", "grpc"):
        path = WORK / f"{name:_<4}.txt"
        path.write_text(f"A lighthouse, sent by {name:_<4}.\n\fIts second page.\n", encoding="utf-8")
        files[name] = path

    def way(t):
        path = files[t.name]
        if t is cli:
            return cli.ask("upload", "--no-wait", "--metadata", '{"shelf": 7, "tags": ["a", null]}', "--priority",
                           "medium", "--languages", "eng", str(path))  # fmt: skip
        if t is rest:
            return rest.upload(path.name, path.read_bytes(), metadata='{"shelf": 7, "tags": ["a", null]}',
                               priority="medium", languages="eng")  # fmt: skip
        return grpc.upload(path.name, path.read_bytes(), metadata={"shelf": 7, "tags": ["a", None]},
                           priority="PRIORITY_MEDIUM", languages=["eng"])  # fmt: skip

    answers = each(way)
    jobs = {}
    for name, answer in answers.items():
        if isinstance(answer, Failure):
            raise SystemExit(f"upload by {name}: {answer}")
        jobs[name] = answer["job_id"]
        for key in ("file_path", "message", "document_name"):
            answer[key] = answer[key].replace(files[name].name, "NAME")
    alike("upload", answers, loose="content_hash")
    return jobs


def job(what, job_id):
    """Everything there is to ask about a job that does not change any more."""
    compare.same(f"{what}: job", rest=rest.ask("GET", f"/jobs/{job_id}"), cli=cli.ask("jobs", "status", job_id),
                 grpc=rpc("JobService/GetJob", job_id=job_id))  # fmt: skip
    if grpc:
        compare.same(f"{what}: progress", rest=rest.ask("GET", f"/jobs/{job_id}/progress"),
                     grpc=rpc("JobService/GetJobProgress", job_id=job_id))  # fmt: skip


def result(what, job_id):
    return compare.same(f"{what}: result", rest=rest.ask("GET", f"/jobs/{job_id}/result"),
                        cli=cli.ask("jobs", "result", job_id), grpc=rpc("JobService/GetJobResult", job_id=job_id))  # fmt: skip


def document(what, document_id):
    path = f"/documents/{document_id}"
    compare.same(f"{what}: document", rest=rest.ask("GET", path), cli=cli.ask("documents", "show", document_id),
                 grpc=rpc("DocumentService/GetDocument", document_id=document_id))  # fmt: skip
    pages = rest.ask("GET", f"{path}/pages")
    compare.same(f"{what}: pages", rest=pages["pages"], cli=cli.lines("documents", "pages", document_id))
    chunks = rest.ask("GET", f"{path}/chunks")
    compare.same(f"{what}: chunks", rest=chunks["chunks"], cli=cli.lines("documents", "chunks", document_id))
    if grpc:
        compare.same(f"{what}: list of pages", rest=pages, grpc=rpc("DocumentService/ListPages", document_id=document_id))
        compare.same(f"{what}: texts, two pages", rest=rest.ask("GET", f"{path}/pages?text=true&limit=2"),
                     grpc=rpc("DocumentService/ListPages", document_id=document_id, text=True, limit=2))  # fmt: skip
        compare.same(f"{what}: list of chunks", rest=chunks, grpc=rpc("DocumentService/ListChunks", document_id=document_id))


def lists():
    """Page by page, each transport by its own tokens."""
    compare.same("jobs", rest=rest.ask("GET", "/jobs?limit=200")["jobs"], cli=cli.lines("jobs", "list", "--limit", "200"))
    compare.same("documents", rest=rest.ask("GET", "/documents?limit=200")["documents"],
                 cli=cli.lines("documents", "list", "--limit", "200"))  # fmt: skip
    compare.same("failed jobs", rest=rest.ask("GET", "/jobs?status=failed")["jobs"],
                 cli=cli.lines("jobs", "list", "--status", "failed"))  # fmt: skip
    if not grpc:
        return
    for route, name, items in (("/jobs", "JobService/ListJobs", "jobs"),
                               ("/documents", "DocumentService/ListDocuments", "documents")):  # fmt: skip
        token, seen = "", []
        while True:
            answer = compare.same(f"{items}, two from {len(seen)}",
                                  rest=rest.ask("GET", f"{route}?limit=2" + (f"&page_token={token}" if token else "")),
                                  grpc=rpc(name, limit=2, page_token=token))  # fmt: skip
            seen += [i.get("job_id") or i["document_id"] for i in answer[items]]
            token = answer["next_page_token"]
            if not token or not answer[items]:
                break
        compare.check(f"every one of the {items} once", len(seen) == len(set(seen)) == answer["total"], (seen, answer))
    compare.same("jobs by status and type", rest=rest.ask("GET", "/jobs?status=completed&task_type=single_document&offset=1"),
                 grpc=rpc("JobService/ListJobs", status="JOB_STATUS_COMPLETED", task_type="TASK_TYPE_SINGLE_DOCUMENT", offset=1))  # fmt: skip


def system():
    beat = r"(workers\[\d+\]\.)(last_heartbeat)"
    compare.same("worker health", beat, rest=rest.ask("GET", "/health/workers"), cli=cli.ask("workers", "status"),
                 grpc=rpc("WorkerService/GetWorkerHealth"))  # fmt: skip
    if grpc:
        compare.same("workers", beat, rest=rest.ask("GET", "/workers"), grpc=rpc("WorkerService/ListWorkers"))
    compare.same("health", r"uptime_seconds|components\.storage\.detail", rest=rest.ask("GET", "/health"),
                 cli=cli.ask("health"), grpc=rpc("HealthService/GetHealth"))  # fmt: skip
    compare.same("statistics", rest=rest.ask("GET", "/jobs/statistics"), cli=cli.ask("jobs", "stats"),
                 grpc=rpc("JobService/GetJobStatistics"))  # fmt: skip
    compare.same("cleanup", rest=rest.ask("DELETE", "/jobs/cleanup?days_old=3650"),
                 cli=cli.ask("jobs", "cleanup", "--days", "3650"), grpc=rpc("JobService/CleanupJobs", days_old=3650))  # fmt: skip


def refusals(done):
    compare.same_failure("an unknown job", "NOT_FOUND", 404, 5, 3, rest=rest.ask("GET", f"/jobs/{NOBODY}"),
                         cli=cli.ask("jobs", "status", NOBODY), **with_rpc("JobService/GetJob", job_id=NOBODY))  # fmt: skip
    compare.same_failure("an id that is none", "INVALID_ARGUMENT", 400, 3, 7, rest=rest.ask("GET", "/documents/nope"),
                         cli=cli.ask("documents", "show", "nope"), **with_rpc("DocumentService/GetDocument", document_id="nope"))  # fmt: skip
    compare.same_failure("cancelling what is done", "WRONG_STATE", 409, 9, 4, rest=rest.ask("POST", f"/jobs/{done}/cancel"),
                         cli=cli.ask("jobs", "cancel", done), **with_rpc("JobService/CancelJob", job_id=done))  # fmt: skip
    compare.same_failure("days that cannot be", "INVALID_ARGUMENT", 400, 3, 7, rest=rest.ask("DELETE", "/jobs/cleanup?days_old=9999"),
                         cli=cli.ask("jobs", "cleanup", "--days", "9999"), **with_rpc("JobService/CleanupJobs", days_old=9999))  # fmt: skip
    compare.same_failure("a directory that is not allowed", "PERMISSION_DENIED", 403, 7, 6,
                         rest=rest.ask("POST", "/documents/ingest-directory", {"directory_path": "/etc"}),
                         cli=cli.ask("ingest", "/etc"), **with_rpc("IngestDirectoryService/IngestDirectory", directory_path="/etc"))  # fmt: skip
    program = (DATA / "fake.pdf").read_bytes()
    compare.same_failure("a program that is sent", "UNSUPPORTED", 415, 3, 7, rest=rest.upload("fake.pdf", program),
                         cli=cli.ask("upload", str(DATA / "fake.pdf")),
                         **({"grpc": grpc.upload("fake.pdf", program)} if grpc else {}))  # fmt: skip
    compare.same_failure("nothing that is sent", "INVALID_ARGUMENT", 400, 3, 7, rest=rest.upload("empty.pdf", b""),
                         cli=cli.ask("upload", str(DATA / "empty.pdf")),
                         **({"grpc": grpc.upload("empty.pdf", b"")} if grpc else {}))  # fmt: skip


def with_rpc(name, **fields):
    return {"grpc": grpc.ask(name, **fields)} if grpc else {}


def waiting(jobs):
    """Jobs that wait, one for each transport: they are shown, cancelled, retried and cancelled again."""
    for job_id in jobs.values():
        job("a waiting job", job_id)
    alike("cancel", each(lambda t: act(t, "cancel", "CancelJob", jobs[t.name])))
    for job_id in jobs.values():
        job("a cancelled job", job_id)
    alike("retry", each(lambda t: act(t, "retry", "RetryJob", jobs[t.name])))


def act(t, verb, method, job_id):
    if t is rest:
        return rest.ask("POST", f"/jobs/{job_id}/{verb}")
    return cli.ask("jobs", verb, job_id) if t is cli else grpc.ask(f"JobService/{method}", job_id=job_id)


def workers(verb, method, *options, **fields):
    """Asked of each in turn: the second and third change nothing."""
    answers = {
        "rest": rest.ask("POST", f"/workers/{verb}", fields),
        "cli": cli.ask("workers", verb, *options),
        "grpc": rpc(f"WorkerService/{method}", **fields),
    }
    compare.same(f"workers {verb}", **answers)


def batches():
    def way(t):
        if t is rest:
            return rest.ask("POST", "/documents/ingest-directory",
                            {"directory_path": ENV["DIRECTORY"], "file_patterns": ["*.txt", "*.pdf"], "recursive": False})  # fmt: skip
        if t is cli:
            return cli.ask("ingest", ENV["DIRECTORY"], "--pattern", "*.txt", "--pattern", "*.pdf", "--no-recursive", "--no-wait")
        return grpc.ask("IngestDirectoryService/IngestDirectory", directory_path=ENV["DIRECTORY"],
                        file_patterns=["*.txt", "*.pdf"], recursive=False)  # fmt: skip

    answers = alike("ingest", each(way))
    for answer in answers.values():
        job_id = answer["job_id"]
        ended(job_id)
        job("a batch", job_id)
        result("a batch", job_id)
        children = rest.ask("GET", f"/jobs?parent_job_id={job_id}&include_children=true")
        compare.check("a batch has its files", children["total"] == answer["total_files_found"], (children, answer))
        compare.same("files of a batch", rest=children["jobs"], cli=cli.lines("jobs", "list", "--batch", job_id))
        if grpc:
            compare.same("list of files of a batch", rest=children,
                         grpc=rpc("JobService/ListJobs", parent_job_id=job_id, include_children=True))  # fmt: skip


def reprocessing(documents):
    def way(t):
        document_id = documents[t.name]
        if t is rest:
            return rest.ask("POST", f"/documents/{document_id}/reprocess", {})
        if t is cli:
            return cli.ask("documents", "reprocess", document_id, "--no-wait")
        return grpc.ask("DocumentService/ReprocessDocument", document_id=document_id)

    for answer in alike("reprocess", each(way)).values():
        ended(answer["job_id"])
        job("a reprocessed document", answer["job_id"])
        result("a reprocessed document", answer["job_id"])


def watching(text):
    """Streams of one job and of all, all open before the work begins: the changes of state must be the same,
    with the same ids; progress may be skipped by any."""
    workers("stop", "StopWorkers", "--now", now=True)
    job_id = rest.upload("watched.txt", text.encode())["job_id"]
    path = f"/jobs/{job_id}/events"
    streams, threads, open_now = {}, [], threading.Semaphore(0)

    def over(event):
        return event["job"]["job_id"] == job_id and event["job"]["status"] in ENDS

    def collect(name, way):
        streams[name] = []
        try:
            for event in way():
                streams[name].append(event)
                open_now.release()
        except Exception as e:  # pylint: disable=broad-except # whatever it is, it is this test's failure
            compare.fail(f"watch by {name}", e)
            open_now.release()

    ways = {"rest": lambda: rest.events(path, over), "cli": lambda: iter(cli.lines("jobs", "watch", job_id)),
            "rest, all": lambda: rest.events("/jobs/events", over, ready=open_now.release)}  # fmt: skip
    if grpc:
        ways["grpc"] = lambda: grpc.events("JobService/WatchJob", over, job_id=job_id)
        ways["grpc, all"] = lambda: grpc.events("JobService/WatchJobs", over, ready=open_now.release,
                                                include_children=True)  # fmt: skip
    for name, way in ways.items():
        threads.append(threading.Thread(target=collect, args=(name, way), daemon=True))
        threads[-1].start()
    for _ in ways:  # the first event of a single watch, the beginning of one of all
        open_now.acquire(timeout=30)
    workers("start", "StartWorkers")
    for thread in threads:
        thread.join(60)
    for name, events in streams.items():
        mine = [e for e in events if e["job"]["job_id"] == job_id]
        compare.check(f"watch by {name} saw the end", mine and mine[-1]["job"]["status"] == "completed", mine[-1:])
        ids = [e["event_id"] for e in mine]
        compare.check(f"watch by {name}: ids do not fall", ids == sorted(ids), ids)
        # progress that changes its message alone keeps its id
        streams[name] = {(e["event_id"], e["job"]["progress_message"]): e for e in mine}
    first = streams["rest"]
    for name, other in streams.items():
        both = sorted(set(first) & set(other))
        last = max(first)
        compare.check(f"watch by {name} ends with the same event", last in other, (sorted(first), sorted(other)))
        if name != "rest":
            key = name.replace(", ", "_")
            compare.same(f"events by {name}", rest=[first[i] for i in both], **{key: [other[i] for i in both]})
    after = {"rest": next(rest.events(path, lambda e: True)), "cli": cli.ask("jobs", "watch", job_id)}
    if grpc:
        after["grpc"] = next(grpc.events("JobService/WatchJob", lambda e: True, job_id=job_id))
    compare.same("watching a job that has ended", **after)


def deleting(documents):
    def way(t):
        document_id = documents[t.name]
        if t is rest:
            return rest.ask("DELETE", f"/documents/{document_id}")
        return cli.ask("documents", "delete", document_id) if t is cli else grpc.ask("DocumentService/DeleteDocument", document_id=document_id)

    alike("delete", each(way))


def standard_services():
    """What load balancers and tools expect of any gRPC server."""
    for service in ("", "localrag.v1.JobService"):
        got = grpc.ask("grpc.health.v1.Health/Check", service=service)
        compare.check(f'grpc.health of "{service}"', got == {"status": "serving"} or got.get("status") == "serving", got)
    for version in ("v1", "v1alpha"):
        call, request = grpc.find(f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
        answer = next(call(iter([request(list_services="")])))
        names = {s.name for s in answer.list_services_response.service}
        ours = {n.split("/")[0] for n in grpc.methods if n.startswith("localrag.")}
        compare.check(f"reflection {version} lists our services", ours <= names, names)


def everything_was_asked():
    for name in sorted(grpc.methods):
        if name.startswith("localrag."):
            compare.check(f"no scenario asks {name}", name in grpc.called)
    for verb, path in sorted(grpc.routes()):
        pattern = re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path))
        asked = any(v == verb and pattern.fullmatch(p) for v, p in rest.called)
        compare.check(f"no scenario asks {verb} {path}", asked)


def main():
    started = time.monotonic()
    workers("stop", "StopWorkers", "--now", now=True)
    jobs = uploads()
    waiting(jobs)
    workers("start", "StartWorkers", "--max", "4", "--high", "1", max_workers=4, high_priority_workers=1)
    documents = {}
    for name, job_id in jobs.items():
        ended(job_id)
        job("a completed job", job_id)
        documents[name] = result("a completed job", job_id)["result"]["document_id"]
        document("an upload", documents[name])
    for name in ("mixed.pdf", "scan.pdf"):
        job_id = rest.upload(name, (DATA / name).read_bytes())["job_id"]
        document(name, ended(job_id)["document_id"])
        result(name, job_id)
    for name in ("random.pdf", "encrypted.pdf"):
        job_id = rest.upload(name, (DATA / name).read_bytes())["job_id"]
        ended(job_id)
        job(name, job_id)
        compare.same_failure(f"the result of {name}", "WRONG_STATE", 409, 9, 4, rest=rest.ask("GET", f"/jobs/{job_id}/result"),
                             cli=cli.ask("jobs", "result", job_id), **with_rpc("JobService/GetJobResult", job_id=job_id))  # fmt: skip
    batches()
    reprocessing(documents)
    watching("A lighthouse that is watched.\n")
    lists()
    system()
    refusals(jobs["rest"])
    deleting(documents)
    if grpc:
        standard_services()
        everything_was_asked()
    dropped = compare.prove()
    compare.check("many fields were compared", dropped > 1000, dropped)
    print(f"{len(compare.kept)} comparisons, {dropped} dropped fields noticed, {len(compare.broken)} broken, "
          f"{time.monotonic() - started:.1f} s" + (f"; without gRPC: {MISSING}" if MISSING else ""))  # fmt: skip
    sys.exit(1 if compare.broken else 77 if MISSING else 0)


if __name__ == "__main__":
    main()
