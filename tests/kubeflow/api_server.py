"""A Kubeflow Pipelines API server, v2beta1, that refuses what the real one does and runs nothing.

Run by the submission environment's Python. Prints its port; what it does beside the API is set by
PUT /plan, shown by GET /record and forgotten by DELETE /record, which no client of Kubeflow asks
for.
"""

from __future__ import annotations

import http.server
import json
import re
import sys
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from server_rules import STATUS, Refused, check_pipeline, check_recurring, invalid

API = "/apis/v2beta1"
BORN = "2026-11-29T00:00:00Z"


class State:
    """What the server knows, and how it has been told to behave.

    Attributes:
        plan: `token`, which is asked for; `multi_user`; `states`, of a run, one for each time that
            it is asked for, with the states of its tasks; `fail`, an answer to give instead of any
            other: [status, content type, text].
        record: of every request, its method, path, headers and body.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Begins anew."""
        self.plan: dict[str, Any] = {}
        self.record: list[dict[str, Any]] = []
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.recurring: dict[str, dict[str, Any]] = {}


def _namespace(state: State, given: str | None) -> str:
    """apiserver/resource/resource_manager.go, ReplaceNamespace; experiment_server.go."""
    if not state.plan.get("multi_user"):
        return ""
    if not given:
        raise invalid("An experiment cannot have an empty namespace in multi-user mode").wrapped(
            "Failed to authorize with API"
        )
    return given


def _wanted(query: dict[str, str], found: dict[str, Any]) -> bool:
    """apiserver/list and filter: predicates of a JSON filter; kfp uses EQUALS alone."""
    predicates = json.loads(query.get("filter") or "{}").get("predicates", [])
    return all(found[p["key"]] == p["stringValue"] for p in predicates)


def list_experiments(state: State, query: dict[str, str], _body: Any) -> Any:
    space = _namespace(state, query.get("namespace"))
    found = [e for e in state.experiments.values() if e["namespace"] == space and _wanted(query, e)]
    return {"experiments": found, "total_size": len(found)} if found else {}


def create_experiment(state: State, _query: Any, body: Any) -> Any:
    # api_converter.go, toModelExperiment; storage/experiment_store.go, CreateExperiment
    name, space = body.get("display_name"), _namespace(state, body.get("namespace"))
    if not name:
        raise invalid("Experiment must have a non-empty name").wrapped(
            "Failed to convert API experiment to model experiment", internal=True
        )
    if any(
        e["display_name"] == name and e["namespace"] == space for e in state.experiments.values()
    ):
        text = (
            f"Failed to create a new experiment. The name {name} already exists. Please specify a "
            "new name"
        )
        raise Refused(f"Already exist error: {text}", 6, text)
    made = {
        "experiment_id": str(uuid.uuid4()),
        "display_name": name,
        "namespace": space,
        "created_at": BORN,
        "storage_state": "AVAILABLE",
    }
    state.experiments[made["experiment_id"]] = made
    return made


def _experiment(state: State, body: Any) -> dict[str, Any]:
    """apiserver/resource/resource_manager.go, GetValidExperimentNamespacePair."""
    wanted = body.get("experiment_id") or ""
    if not wanted and state.plan.get("multi_user"):
        raise invalid("Experiment id can not be empty in multi-user mode")
    if wanted not in state.experiments:
        text = f"Experiment {wanted} not found."
        raise Refused(f"ResourceNotFoundError: {text}", 5, text)
    return state.experiments[wanted]


def create_run(state: State, _query: Any, body: Any) -> Any:
    # run_server.go, CreateRun and createRun
    try:
        if not body.get("display_name"):
            raise invalid("Run name cannot be empty").wrapped(
                "Failed to convert a API run detail to its internal representation", internal=True
            )
        experiment = _experiment(state, body)
        check_pipeline(body, "run")
    except Refused as error:
        raise error.wrapped("Failed to create a new run") from error
    made = {
        **body,
        "run_id": str(uuid.uuid4()),
        "experiment_id": experiment["experiment_id"],
        "created_at": BORN,
        "state": "PENDING",
    }
    state.runs[made["run_id"]] = made
    return made


def get_run(state: State, _query: Any, _body: Any, run_id: str) -> Any:
    run = state.runs.get(run_id)
    if run is None:
        text = f"Run {run_id} not found."
        raise Refused(f"ResourceNotFoundError: {text}", 5, text)
    states = state.plan.get("states") or [["SUCCEEDED", {}]]
    at = run.setdefault("asked", 0)
    run["asked"] += 1
    run["state"], tasks = states[min(at, len(states) - 1)]
    if run["state"] == "FAILED":
        run["error"] = {"code": 13, "message": "a task failed"}
    # api_converter.go: the tasks are Argo's nodes, drivers and the root among them
    names = {"root": "RUNNING", "root-driver": "SUCCEEDED", **tasks}
    run["run_details"] = {
        "task_details": [
            {
                "run_id": run_id,
                "display_name": name,
                "state": one,
                "start_time": "2026-11-29T00:00:01Z",
                **({"end_time": "2026-11-29T00:00:05Z"} if one == "SUCCEEDED" else {}),
            }
            for name, one in names.items()
        ]
    }
    return run


def create_recurring(state: State, _query: Any, body: Any) -> Any:
    # job_server.go, CreateRecurringRun and createJob
    try:
        check_recurring(body)
        experiment = _experiment(state, body)
        check_pipeline(body, "recurring run")
    except Refused as error:
        raise error.wrapped("Failed to create a recurring run") from error
    enabled = body.get("mode") == "ENABLE"  # toModelJobEnabled: unspecified is disabled
    made = {
        **body,
        "recurring_run_id": str(uuid.uuid4()),
        "experiment_id": experiment["experiment_id"],
        "max_concurrency": str(body["max_concurrency"]),  # int64 in JSON
        "status": "ENABLED" if enabled else "DISABLED",
        "created_at": BORN,
    }
    state.recurring[made["recurring_run_id"]] = made
    return made


def list_recurring(state: State, query: dict[str, str], _body: Any) -> Any:
    # list_request_util.go: a page, and the token of the next
    found = [
        one
        for one in state.recurring.values()
        if query.get("experiment_id") in (None, "", one["experiment_id"])
    ]
    size = min(int(query.get("page_size") or 20), state.plan.get("page_size", 200))
    at = int(query.get("page_token") or 0)
    token = {"next_page_token": str(at + size)} if at + size < len(found) else {}
    return {"recurringRuns": found[at : at + size], "total_size": len(found), **token}


def change_recurring(state: State, _query: Any, _body: Any, wanted: str, verb: str = "") -> Any:
    if wanted not in state.recurring:
        text = f"Job {wanted} not found."
        raise Refused(f"ResourceNotFoundError: {text}", 5, text)
    if verb:
        state.recurring[wanted]["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[verb]
    else:
        del state.recurring[wanted]
    return {}


def healthz(state: State, _query: Any, _body: Any) -> Any:
    return {"multi_user": bool(state.plan.get("multi_user"))}


ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", "/healthz", healthz),
    ("GET", "/experiments", list_experiments),
    ("POST", "/experiments", create_experiment),
    ("POST", "/runs", create_run),
    ("GET", "/runs/([^/:]+)", get_run),
    ("GET", "/recurringruns", list_recurring),
    ("POST", "/recurringruns", create_recurring),
    ("DELETE", "/recurringruns/([^/:]+)", change_recurring),
    ("POST", "/recurringruns/([^/:]+):(enable|disable)", change_recurring),
]


class Handler(http.server.BaseHTTPRequestHandler):
    state: State

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        url = urllib.parse.urlsplit(self.path)
        state = self.state
        with state.lock:
            if url.path == "/plan":
                state.plan = json.loads(text)
                self._send(200, {})
                return
            if (self.command, url.path) == ("DELETE", "/record"):
                state.forget()
                self._send(200, {})
                return
            if url.path == "/record":
                self._send(200, {"requests": state.record, "recurring": list(state.recurring)})
                return
            body = json.loads(text) if text else {}
            request = {"method": self.command, "path": url.path, "body": body}
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.record.append({**request, "headers": headers})
            if "fail" in state.plan:
                status, kind, answer = state.plan["fail"]
                self._send(status, answer, kind)
                return
            try:
                self._send(200, self._handle(url, body))
            except Refused as error:
                # common/util/error.go, ToGRPCError, as grpc-gateway writes it
                status = {
                    "@type": "type.googleapis.com/google.rpc.Status",
                    "code": error.code,
                    "message": error.outside,
                }
                told = {"error": str(error), "code": error.code, "message": str(error)}
                self._send(STATUS[error.code], {**told, "details": [status]})

    def _handle(self, url: urllib.parse.SplitResult, body: Any) -> Any:
        token = self.state.plan.get("token")
        given = self.headers.get("Authorization", "")
        if token and given != f"Bearer {token}":
            # auth/authenticator_token_review.go
            text = f"Request header error: the token is not one of ours: {given}"
            raise Refused(f"Unauthenticated: {text}", 16, text)
        query = dict(urllib.parse.parse_qsl(url.query))
        for method, path, handle in ROUTES:
            found = re.fullmatch(API + path, url.path)
            if found and method == self.command:
                return handle(self.state, query, body, *found.groups())
        raise Refused("Not Found", 5)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815  http.server's names

    def _send(self, status: int, answer: Any, kind: str = "application/json") -> None:
        content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Says nothing."""


if __name__ == "__main__":
    handler = type("Handler", (Handler,), {"state": State()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
