# SPDX-License-Identifier: AGPL-3.0-or-later
"""transports.py - one server asked in three ways: REST (urllib), the command line, gRPC (grpcio).

Each way answers with plain values: dicts with the field names of the proto, lists, numbers, texts, None for
what is unset, and datetimes. For gRPC that translation is written here once more, from the descriptors and
not from the server's own JSON code, so that the two check one another. Whoever is asked writes down which
RPC or route it was (`called`), so that a test can demand all of them.

gRPC needs python3-grpcio and the stubs, which protoc and grpc_python_plugin make from proto/ at every run.
"""
import datetime
import importlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGIN = "/usr/bin/grpc_python_plugin"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def plain(value):
    """JSON with its times as datetimes."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str) and TIME.fullmatch(value):
        whole, _, fraction = value.rstrip("Z").partition(".")
        at = datetime.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S")
        return at + datetime.timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
    return value


class Failure:
    """What went wrong: the code's name, the text, and the transport's own number."""

    def __init__(self, code, detail, status, fields=()):
        self.code, self.detail, self.status, self.fields = code, detail, status, sorted(fields)

    def __repr__(self):
        return f"Failure({self.code}, {self.status}, {self.detail!r}, {self.fields})"


class Rest:
    name = "rest"

    def __init__(self, address):
        self.base = f"http://{address}/api/v1"
        self.called = set()

    def open(self, method, path, body=None, headers=None, timeout=60):
        self.called.add((method, "/api/v1" + path.split("?")[0]))
        request = urllib.request.Request(self.base + path, body, headers or {}, method=method)
        return urllib.request.urlopen(request, timeout=timeout)

    def ask(self, method, path, body=None, headers=None):
        if isinstance(body, dict):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        try:
            with self.open(method, path, body, headers) as answer:
                return plain(json.load(answer))
        except urllib.error.HTTPError as e:
            said = json.load(e)
            fields = [(f["field"], f["message"]) for f in said.get("errors", [])]
            return Failure(said["code"], said["detail"], e.code, fields)

    def upload(self, name, data, **parts):
        lines = []
        for key, value in parts.items():
            lines += ["--x-x", f'Content-Disposition: form-data; name="{key}"', "", value]
        lines += ["--x-x", f'Content-Disposition: form-data; name="file"; filename="{name}"', "", ""]
        body = "\r\n".join(lines).encode() + data + b"\r\n--x-x--\r\n"
        return self.ask("POST", "/documents/upload", body, {"Content-Type": "multipart/form-data; boundary=x-x"})

    def events(self, path, enough, ready=None):
        """Server-Sent Events until the stream ends or enough(event) is true, as the message JobEvent: the event's
        name is its type, its data the job."""
        with self.open("GET", path) as stream:
            event, data = {}, []
            for raw in stream:
                key, _, value = raw.decode().rstrip("\r\n").partition(":")
                if key in ("id", "event"):
                    event[key] = value.strip()
                elif key == "data":
                    data.append(value.strip())
                elif not key and value.strip() == "connected" and ready:
                    ready()
                elif not key and not value and data:
                    got = {"event_id": event.get("id"), "type": event.get("event"), "job": plain(json.loads("\n".join(data)))}
                    yield got
                    if enough(got):
                        return
                    event, data = {}, []


class Cli:
    name = "cli"

    def __init__(self, program, address):
        self.command = [program, "--server", address, "--json"]

    def run(self, *arguments):
        return subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=90, check=False)

    def lines(self, *arguments):
        """Every line of the answer; a Failure when it failed without an answer."""
        done = self.run(*arguments)
        if done.returncode and not done.stdout:
            return Failure(None, done.stderr.strip(), done.returncode)
        return [plain(json.loads(line)) for line in done.stdout.splitlines()]

    def ask(self, *arguments):
        got = self.lines(*arguments)
        return got[0] if isinstance(got, list) and len(got) == 1 else got


class Grpc:
    name = "grpc"

    @staticmethod
    def missing():
        """Why there is no gRPC here; None when there is."""
        if not shutil.which("protoc") or not pathlib.Path(PLUGIN).exists():
            return "no protoc or no grpc_python_plugin"
        try:
            importlib.import_module("grpc")
            importlib.import_module("google.protobuf")
        except ImportError as e:
            return str(e)
        return None

    def __init__(self, address, folder):
        out = pathlib.Path(folder)
        protos = sorted(str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto").rglob("*.proto")
                        if "extract" not in p.parts)  # fmt: skip
        subprocess.run(
            ["protoc", f"-I{ROOT}/proto", "-I/usr/include", f"--python_out={out}", f"--grpc_python_out={out}",
             f"--plugin=protoc-gen-grpc_python={PLUGIN}", *protos], check=True)  # fmt: skip
        sys.path.insert(0, str(out))
        for package in ("grpc", "google"):  # their folders continue in the installed ones
            importlib.import_module(package).__path__.append(str(out / package))
        self.grpc = importlib.import_module("grpc")
        self.http = importlib.import_module("google.api.annotations_pb2").http
        self.bad_request = importlib.import_module("google.rpc.error_details_pb2").BadRequest
        self.rpc_status = importlib.import_module("google.rpc.status_pb2").Status
        self.channel = self.grpc.insecure_channel(address)
        self.called, self.methods, self.stubs = set(), {}, {}
        for proto in protos:
            module = importlib.import_module(proto[:-6].replace("/", ".") + "_pb2")
            for service in module.DESCRIPTOR.services_by_name.values():
                rpcs = importlib.import_module(proto[:-6].replace("/", ".") + "_pb2_grpc")
                stub = getattr(rpcs, service.name + "Stub")(self.channel)
                for method in service.methods:
                    self.methods[f"{service.full_name}/{method.name}"] = (method, getattr(stub, method.name))

    def find(self, name):
        name = name if name.startswith("grpc.") else "localrag.v1." + name
        method, call = self.methods[name]
        self.called.add(name)
        factory = importlib.import_module("google.protobuf.message_factory").MessageFactory()
        return call, factory.GetPrototype(method.input_type)

    def ask(self, name, **fields):
        call, request = self.find(name)
        try:
            return value_of(call(request(**fields), timeout=60))
        except self.grpc.RpcError as e:
            return self.failure(e)

    def failure(self, e):
        trailers = dict(e.trailing_metadata())
        fields = []
        if "grpc-status-details-bin" in trailers:
            for detail in self.rpc_status.FromString(trailers["grpc-status-details-bin"]).details:
                bad = self.bad_request()
                if detail.Unpack(bad):
                    fields += [(v.field, v.description) for v in bad.field_violations]
        return Failure(trailers.get("localrag-code"), e.details(), e.code().value[0], fields)

    def upload(self, name, data, metadata=None, **about):
        call, request = self.find("UploadService/UploadDocument")
        first = request(metadata={"filename": name, **about})
        first.metadata.metadata.update(metadata or {})

        def pieces():
            yield first
            for i in range(0, len(data), 1000):
                yield request(data=data[i : i + 1000])

        try:
            return value_of(call(pieces(), timeout=60))
        except self.grpc.RpcError as e:
            return self.failure(e)

    def events(self, name, enough, ready=None, **fields):
        call, request = self.find(name)
        stream = call(request(**fields), timeout=90)
        if ready:
            stream.initial_metadata()  # waits for the headers
            ready()
        for event in stream:
            got = value_of(event)
            yield got
            if enough(got):
                stream.cancel()
                return

    def routes(self):
        """Every HTTP rule of our services: (verb, path)."""
        found = set()
        for name, (method, _) in self.methods.items():
            rule = method.GetOptions().Extensions[self.http]
            verb = rule.WhichOneof("pattern")
            if name.startswith("localrag.") and verb:
                found.add((verb.upper(), getattr(rule, verb)))
        return found


# ---- messages as plain values ----


def value_of(message):
    kind = message.DESCRIPTOR.full_name
    if kind == "google.protobuf.Timestamp":
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(
            seconds=message.seconds, microseconds=message.nanos // 1000)  # fmt: skip
    if kind == "google.protobuf.Struct":
        return {k: struct_value(v) for k, v in message.fields.items()}
    only = message.DESCRIPTOR.oneofs
    if len(only) == 1 and len(only[0].fields) == len(message.DESCRIPTOR.fields) > 1:
        chosen = message.WhichOneof(only[0].name)
        return value_of(getattr(message, chosen)) if chosen else None
    return {f.name: field_of(message, f) for f in message.DESCRIPTOR.fields}


def struct_value(value):
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return value_of(value.struct_value)
    if kind == "list_value":
        return [struct_value(v) for v in value.list_value.values]
    return None if kind == "null_value" else getattr(value, kind)


def field_of(message, field):
    value = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        return {k: value_of(v) if inner.message_type else v for k, v in value.items()}
    if field.label == field.LABEL_REPEATED:
        return [single(field, v) for v in value]
    if (field.message_type or field.containing_oneof) and not message.HasField(field.name):
        return None
    return single(field, value)


def single(field, value):
    if field.message_type:
        return value_of(value)
    if field.enum_type:
        if value == 0:
            return None
        names = field.enum_type.values_by_number
        prefix = names[0].name[: -len("UNSPECIFIED")]
        return names[value].name[len(prefix) :].lower()
    return value
