"""A server on loopback that plays Globus: its Transfer API and the token endpoint of Globus Auth.

It holds the files of one source collection, takes transfer documents as the API describes them, refuses what the API
refuses, and keeps what a transfer brings. globus-sdk finds it by ``GLOBUS_SDK_SERVICE_URL_TRANSFER`` and
``…_AUTH`` (`GlobusServer.environment`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

SCOPE = "urn:globus:auth:scope:transfer.api.globus.org:all"

# Fields of a transfer document and of an item, as the API's description of task submission has them.
_DOCUMENT = frozenset(
    {"DATA_TYPE", "DATA", "source_endpoint", "destination_endpoint", "label", "submission_id", "sync_level"}
    | {"verify_checksum", "preserve_timestamp", "encrypt_data", "fail_on_quota_errors", "skip_source_errors"}
    | {
        "delete_destination_extra",
        "notify_on_succeeded",
        "notify_on_failed",
        "notify_on_inactive",
        "deadline",
    }
    | {"recursive_symlinks", "skip_activation_check", "filter_rules"}
)
_ITEM = frozenset(
    {"DATA_TYPE", "source_path", "destination_path", "recursive", "external_checksum", "checksum_algorithm"}
)
_LABEL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ,_-")


@dataclass(frozen=True)
class Request:
    """A request that came in."""

    method: str
    path: str
    query: Mapping[str, str]
    authorization: str
    body: Any


@dataclass
class Task:
    """A task, and how often it was asked for."""

    document: dict[str, Any]
    n_looks: int = 0
    skipped: list[dict[str, str]] = field(default_factory=list)
    fatal: dict[str, str] | None = None
    n_bytes: int = 0
    n_files: int = 0
    is_ended: bool = False


class GlobusServer:
    """The service.

    Args:
        source: id of the collection that has the files.
        files: path → content, in the source.
        token: what a person's requests have to carry.
    """

    def __init__(self, source: str, files: Mapping[str, bytes], token: str) -> None:
        self.source, self.files, self.token = source, dict(files), token
        self.collections: list[dict[str, Any]] = []
        self.brought: dict[str, bytes] = {}
        self.tasks: dict[str, Task] = {}
        self.requests: list[Request] = []
        self.most_at_a_time = 0
        self.looks_to_end = 2
        self.state = "SUCCEEDED"  # that tasks end in; ACTIVE: never, INACTIVE: suspended
        self.refusal: tuple[int, dict[str, Any]] | None = None  # of submissions
        self.n_deaf_looks = 0  # answers about tasks that fail before one comes
        self.needed_scope = ""  # besides SCOPE
        self.application = ("", "")
        self.page = 100
        self._granted = {token: {SCOPE}}
        self._submissions: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> GlobusServer:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: else each answer waits 40 ms for an acknowledgement

            def do_GET(self) -> None:
                service._handle(self)

            def do_POST(self) -> None:
                service._handle(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which globus-sdk finds it."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        return {"GLOBUS_SDK_SERVICE_URL_TRANSFER": url, "GLOBUS_SDK_SERVICE_URL_AUTH": url}

    @property
    def documents(self) -> list[dict[str, Any]]:
        """Transfer documents that were taken, in their order."""
        return [task.document for task in self.tasks.values()]

    def asked(self, path: str) -> list[Request]:
        """Requests whose path ends so."""
        return [request for request in self.requests if request.path.endswith(path)]

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        is_form = "form" in handler.headers.get("Content-Type", "")
        body = dict(parse_qsl(raw.decode())) if is_form else json.loads(raw) if raw else None
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        authorization = handler.headers.get("Authorization", "")
        request = Request(handler.command, parts.path, query, authorization, body)
        with self._lock:
            self.requests.append(request)
            status, answer = self._answer(request)
        data = json.dumps(answer).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _answer(self, request: Request) -> tuple[int, dict[str, Any]]:
        if request.path == "/v2/oauth2/token":
            return self._grant(request)
        granted = self._granted.get(request.authorization.removeprefix("Bearer "))
        if granted is None:
            return 401, {"code": "AuthenticationFailed", "message": "Token is not active"}
        match request.method, request.path.removeprefix("/v0.10/").split("/"):
            case "GET", ["endpoint_search"]:
                return self._search(request)
            case "GET", ["submission_id"]:
                self._submissions[number := str(uuid.uuid4())] = None
                return 200, {"DATA_TYPE": "submission_id", "value": number}
            case "POST", ["transfer"]:
                return self._submit(request.body, granted)
            case "GET", ["task", number] if number in self.tasks:
                return self._task(number)
            case "GET", ["task", number, "event_list"] if number in self.tasks:
                return self._events(number, request)
            case "GET", ["task", number, "skipped_errors"] if number in self.tasks:
                start = int(request.query.get("marker", 0))
                rows = self.tasks[number].skipped
                end = start + self.page
                marker = str(end) if end < len(rows) else None
                return 200, {"DATA_TYPE": "skipped_errors", "DATA": rows[start:end], "next_marker": marker}
        return 404, {"code": "ClientError.NotFound", "message": f"No such resource {request.path}"}

    def _grant(self, request: Request) -> tuple[int, dict[str, Any]]:
        given = base64.b64decode(request.authorization.removeprefix("Basic ")).decode()
        if given != ":".join(self.application) or request.body["grant_type"] != "client_credentials":
            return 401, {"error": "invalid_client"}
        number = f"granted-{uuid.uuid4()}"
        self._granted[number] = set(request.body["scope"].split())
        return 200, {
            "access_token": number,
            "token_type": "Bearer",
            "expires_in": 172_800,
            "scope": request.body["scope"],
            "resource_server": "transfer.api.globus.org",
            "other_tokens": [],
        }

    def _search(self, request: Request) -> tuple[int, dict[str, Any]]:
        words = request.query["filter_fulltext"].lower().replace("#", " ").split()
        found = [one for one in self.collections if all(word in json.dumps(one).lower() for word in words)]
        start = int(request.query.get("offset", 0))
        end = start + min(self.page, int(request.query.get("limit", 100)))
        return 200, {
            "DATA_TYPE": "endpoint_list",
            "DATA": found[start:end],
            "offset": start,
            "limit": end - start,
            "has_next_page": end < len(found),
        }

    def _submit(self, document: dict[str, Any], granted: set[str]) -> tuple[int, dict[str, Any]]:
        if self.refusal is not None:
            return self.refusal
        if self.needed_scope and self.needed_scope not in granted:
            return 403, {
                "code": "ConsentRequired",
                "message": "Missing required data_access consent",
                "required_scopes": [self.needed_scope],
            }
        if (fault := self._fault(document)) is not None:
            return 400, {
                "code": f"ClientError.BadRequest.{fault}",
                "message": f"The document has a fault: {fault}",
            }
        submission = document["submission_id"]
        if submission not in self._submissions:
            return 400, {"code": "ClientError.BadRequest", "message": "Unknown submission id"}
        if (number := self._submissions[submission]) is None:
            number = self._submissions[submission] = str(uuid.uuid4())
            self.tasks[number] = task = Task(document)
            self._transfer(task)
        running = sum(not task.is_ended for task in self.tasks.values())
        self.most_at_a_time = max(self.most_at_a_time, running)
        return 202, {"DATA_TYPE": "transfer_result", "code": "Accepted", "task_id": number}

    def _fault(self, document: dict[str, Any]) -> str | None:
        items = document.get("DATA") or []
        if set(document) - _DOCUMENT or any(set(item) - _ITEM for item in items):
            return "UnknownField"
        if not items:
            return "NoTransferItems"
        if document["DATA_TYPE"] != "transfer" or any(item["DATA_TYPE"] != "transfer_item" for item in items):
            return "DataType"
        if document["source_endpoint"] != self.source:
            return "EndpointNotFound"
        label = document.get("label", "")
        if len(label) > 128 or set(label) - _LABEL:
            return "Label"
        if any(
            not item[end].startswith("/") for item in items for end in ("source_path", "destination_path")
        ):
            return "RelativePath"
        return None

    def _transfer(self, task: Task) -> None:
        for item in task.document["DATA"]:
            path = item["source_path"]
            if path not in self.files:
                task.skipped.append({"source_path": path, "error_code": "FILE_NOT_FOUND"})
                continue
            data = self.files[path]
            wanted = item.get("external_checksum")
            if wanted is not None and hashlib.md5(data, usedforsecurity=False).hexdigest() != wanted:
                task.fatal = {"code": "VERIFY_CHECKSUM", "description": f"{path} has another checksum"}
                return
            self.brought[item["destination_path"]] = data
            task.n_files += 1
            task.n_bytes += len(data)

    def _task(self, number: str) -> tuple[int, dict[str, Any]]:
        if self.n_deaf_looks:
            self.n_deaf_looks -= 1
            return 503, {"code": "ServiceUnavailable", "message": "Come again later"}
        task = self.tasks[number]
        task.n_looks += 1
        state = ("FAILED" if task.fatal else self.state) if task.n_looks >= self.looks_to_end else "ACTIVE"
        task.is_ended = state in ("SUCCEEDED", "FAILED")
        share = 2 if state == "ACTIVE" else 1
        return 200, {
            "DATA_TYPE": "task",
            "task_id": number,
            "status": state,
            "nice_status": {"ACTIVE": "OK", "INACTIVE": "EXPIRED_CREDENTIALS"}.get(state),
            "nice_status_short_description": {"ACTIVE": "OK", "INACTIVE": "Credentials have expired"}.get(
                state
            ),
            "files": len(task.document["DATA"]),
            "files_transferred": task.n_files // share,
            "files_skipped": 0,
            "bytes_transferred": task.n_bytes // share,
            "fatal_error": task.fatal,
        }

    def _events(self, number: str, request: Request) -> tuple[int, dict[str, Any]]:
        fatal = self.tasks[number].fatal
        rows = [
            {
                "description": "failed",
                "code": "CHECKSUM_MISMATCH",
                "details": "the sums\ndiffer",
                "is_error": True,
            },
            {"description": "started", "code": "STARTED", "details": "", "is_error": False},
        ]
        if request.query.get("filter") == "is_error:1":
            rows = rows[:1]
        rows = rows if fatal else []
        return 200, {"DATA_TYPE": "event_list", "DATA": rows, "total": len(rows), "offset": 0, "limit": 10}
