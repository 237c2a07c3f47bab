# SPDX-License-Identifier: AGPL-3.0-or-later
"""calls.py - one request over REST or gRPC, with three outcomes: an answer, "later", or nobody knows.

`later`: the server said that nothing was done (503, 429). `unknown`: the connection broke or the time was up, so
it may have been done, or may still be. A status that promises never allow (500) is written down as a violation.
"""
import http.client
import importlib
import json
import os
import pathlib
import socket
import subprocess
import sys

import stack

LATER, UNKNOWN = "later", "unknown"
BOUNDARY = "localrag-chaos-7d1f"
PLUGIN = "/usr/bin/grpc_python_plugin"
# Who starts programs execs at once; the library's own preparations for a fork can wait for ever under load.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"


class Rest:
    name = "REST"

    def __init__(self, port, ledger, timeout=12):
        self.port, self.ledger, self.timeout, self.connection = port, ledger, timeout, None

    def ask(self, method, path, body=None, headers=None):
        """(status, answer), LATER or UNKNOWN"""
        try:
            if not self.connection:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.request(method, "/api/v1" + path, body, headers or {})
            r = self.connection.getresponse()
            status, answer = r.status, json.loads(r.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return UNKNOWN
        if status in (429, 503):
            return LATER
        if status == 504:
            return UNKNOWN
        if status >= 500:
            self.ledger.violation("status", f"{method} {path}: {status} {answer}")
            return UNKNOWN
        return status, answer

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def upload(self, name, data, key, priority):
        part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        head = (f'{part}"priority"\r\n\r\n{priority}\r\n{part}"file"; filename="{name}"\r\n\r\n').encode()
        return self.ask("POST", "/documents/upload", head + data + f"\r\n--{BOUNDARY}--\r\n".encode(),
                        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Idempotency-Key": key})

    def job(self, job_id):
        return self.ask("GET", f"/jobs/{job_id}")

    def cancel(self, job_id):
        return self.ask("POST", f"/jobs/{job_id}/cancel")

    def retry(self, job_id):
        return self.ask("POST", f"/jobs/{job_id}/retry")

    def ingest(self, directory):
        return self.ask("POST", "/documents/ingest-directory", json.dumps({"directory_path": directory}),
                        {"Content-Type": "application/json"})


def make_stubs(folder):
    """Python stubs from proto/ in `folder`, for class Grpc."""
    out = pathlib.Path(folder)
    root = pathlib.Path(stack.ROOT)
    protos = sorted(str(p.relative_to(root / "proto")) for p in (root / "proto").rglob("*.proto")
                    if "extract" not in p.parts)
    subprocess.run(["protoc", f"-I{root}/proto", "-I/usr/include", f"--python_out={out}", f"--grpc_python_out={out}",
                    f"--plugin=protoc-gen-grpc_python={PLUGIN}", *protos], check=True)
    sys.path.insert(0, str(out))
    for package in ("grpc", "google"):  # their folders continue in the installed ones
        importlib.import_module(package).__path__.append(str(out / package))


class Grpc:
    """As Rest, with the same answers: gRPC's codes as their HTTP statuses."""

    name = "gRPC"
    statuses = {"NOT_FOUND": 404, "FAILED_PRECONDITION": 409, "INVALID_ARGUMENT": 400, "ALREADY_EXISTS": 409}

    def __init__(self, port, ledger, timeout=12):
        self.grpc = importlib.import_module("grpc")
        self.job_pb = importlib.import_module("localrag.v1.job_pb2")
        self.upload_pb = importlib.import_module("localrag.v1.upload_pb2")
        self.common_pb = importlib.import_module("localrag.v1.common_pb2")
        self.ledger, self.timeout = ledger, timeout
        self.channel = self.grpc.insecure_channel(
            f"127.0.0.1:{port}", [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100),
                                  ("grpc.max_reconnect_backoff_ms", 500), ("grpc.enable_retries", 0)])
        self.jobs = importlib.import_module("localrag.v1.job_pb2_grpc").JobServiceStub(self.channel)
        self.uploads = importlib.import_module("localrag.v1.upload_pb2_grpc").UploadServiceStub(self.channel)

    def status_name(self, number):
        return self.job_pb.JobStatus.Name(number)[len("JOB_STATUS_"):].lower()

    def ask(self, what, call, request):
        try:
            return call(request, timeout=self.timeout)
        except self.grpc.RpcError as e:
            code = e.code().name
            if code in self.statuses:
                return self.statuses[code], {"detail": e.details()}
            trailers = dict(e.trailing_metadata() or ())
            if code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED") and "localrag-code" in trailers:
                return LATER
            if code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED") and "localrag-code" in trailers:
                self.ledger.violation("status", f"{what}: {code} {e.details()}")
            return UNKNOWN

    def upload(self, name, data, key, priority):
        request = self.upload_pb.UploadDocumentRequest
        about = self.upload_pb.UploadMetadata(
            filename=name, idempotency_key=key, priority=self.common_pb.Priority.Value("PRIORITY_" + priority.upper()))
        pieces = [request(metadata=about)] + [request(data=data[i : i + 4000]) for i in range(0, len(data), 4000)]
        answer = self.ask("UploadDocument", self.uploads.UploadDocument, iter(pieces))
        if isinstance(answer, (tuple, str)):
            return answer
        return 202, {"job_id": answer.job_id}

    def job(self, job_id):
        answer = self.ask("GetJob", self.jobs.GetJob, self.job_pb.GetJobRequest(job_id=job_id))
        if isinstance(answer, (tuple, str)):
            return answer
        return 200, {"status": self.status_name(answer.status), "retry_count": answer.retry_count}

    def cancel(self, job_id):
        answer = self.ask("CancelJob", self.jobs.CancelJob, self.job_pb.CancelJobRequest(job_id=job_id))
        return answer if isinstance(answer, (tuple, str)) else (200, {})

    def retry(self, job_id):
        answer = self.ask("RetryJob", self.jobs.RetryJob, self.job_pb.RetryJobRequest(job_id=job_id))
        return answer if isinstance(answer, (tuple, str)) else (200, {})

    def close(self):
        self.channel.close()
