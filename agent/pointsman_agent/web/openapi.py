"""The OpenAPI document of the admin interface. Pure: made from the shapes, and from the table of operations here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pointsman_agent.web import control, shapes

DOCUMENT_PATH: Final = "/api/openapi.json"

_READ: Final = "read"
_OPERATE: Final = "operate"
_OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked. `answer` is a type, or a media type; `role` who may; `refusals` beside what all can get."""

    method: str
    path: str
    summary: str
    answer: Any
    role: str = _READ
    query: tuple[str, ...] = ()
    body: Any = None
    status: int = 200
    refusals: tuple[int, ...] = ()


_TEXT: Final = "text/plain"
_EVENTS: Final = "text/event-stream"
_LINES: Final = "application/x-ndjson"

OPERATIONS: Final = (
    Operation("GET", "/api/status", "The whole status", shapes.Status),
    Operation("GET", "/api/stations/{station}", "All that is known of a station", shapes.StationFile, refusals=(404,)),
    Operation("GET", "/api/inventory", "What the stations say they are", list[shapes.InventoryRow]),
    Operation(
        "GET",
        "/api/events",
        "Server-sent events without end: `status` (the status without its stations) and `stations` (those that"
        " changed; at first all)",
        _EVENTS,
        query=("station",),
        refusals=(404, 503),
    ),
    Operation(
        "GET",
        "/api/tail",
        "Messages as they pass, redacted: JSON lines without end, each a Message or Missed, or empty",
        _LINES,
        query=("station",),
        refusals=(404, 503),
    ),
    Operation(
        "GET",
        "/api/transactions",
        "Transactions of local groups, oldest first",
        list[shapes.Transaction],
        query=("since",),
        refusals=(400, 503),
    ),
    Operation(
        "GET",
        "/api/security-events",
        "The security log, oldest first",
        list[shapes.SecurityEvent],
        query=("since",),
        refusals=(400, 503),
    ),
    Operation(
        "GET",
        "/api/activations",
        "What became of bundles, oldest first",
        list[shapes.Activation],
        query=("since",),
        refusals=(400, 503),
    ),
    Operation(
        "POST",
        "/api/reload",
        "Read the bundle and the secrets at once; `retry=true`: also what failed before",
        shapes.Reload,
        _OPERATE,
        query=("retry",),
        status=202,
    ),
    Operation(
        "POST",
        "/api/test/{supervision}",
        "Try the way to a supervision, with a station's whole handshake where one is named",
        shapes.ConnectionTest,
        _OPERATE,
        query=("station",),
        refusals=(404, 409, 503),
    ),
    *(
        Operation("POST", f"/api/{what}/{{station}}", summary, shapes.StationAnswer, _OPERATE, (), body, 200, refusals)
        for refusals in ((400, 404, 409, 503, 504),)
        for what, summary, body in (
            ("call", "Make any CALL to a station of a local group", control.Call),
            ("start", "Start charging, with a badge or with a token for this start alone", control.Start),
            ("stop", "End a transaction; without an id, the only one that is open", control.Stop),
            ("reset", "Restart a station", control.Reset),
            ("unlock", "Open the lock of a connector", control.Unlock),
        )
    ),
    Operation("POST", "/api/tickets", "Let a browser in, without showing it a token", shapes.Ticket, _OPERATE),
    Operation("GET", DOCUMENT_PATH, "This document", dict[str, Any]),
    Operation("GET", "/metrics", "Metrics, in Prometheus' text format", _TEXT),
    Operation("GET", "/healthz", "Whether the agent lives", _TEXT, _OPEN),
    Operation("GET", "/readyz", "Whether a bundle is in force", _TEXT, _OPEN, refusals=(503,)),
)
"""All that programs can ask; pages for browsers are left out."""

_QUERY: Final = {
    "station": "A station of the bundle in force",
    "since": "Received from this moment on (RFC 3339); default: all",
    "retry": "`true`: also what failed before",
}
_REFUSALS: Final = {
    400: "What was asked makes no sense",
    401: "No token, or a wrong one",
    403: "The token only reads, or the page that asks is of another origin",
    404: "No such station, supervision or path",
    409: "It cannot be asked now",
    503: "Not now: too many ask for this, the journal is at fault, or no bundle is in force",
    504: "The station gave no answer in time",
}


def document(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of an agent of that version."""
    bodies = [each.body for each in OPERATIONS if each.body is not None]
    answers = [each.answer for each in OPERATIONS if not isinstance(each.answer, str)]
    spoken = [shapes.Error, shapes.Message, shapes.Missed, shapes.StationsEvent]
    types = [*answers, *bodies, *spoken]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(map(str, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pointsman agent",
            "version": version,
            "description": "The admin interface of one site controller. Every request shows a bearer token, but health"
            " checks: one that reads (STATE/read-token), or one that operates (STATE/admin.json).",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(operation: Operation, by_type: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.method.lower() + re.sub(r"\W+", "_", operation.path.rstrip("}")),
        "summary": operation.summary,
        "description": f"Role: {operation.role}.",
        "parameters": [*_parameters(operation)],
        "responses": {
            str(operation.status): {"description": "Done", "content": _content(operation.answer, by_type)},
            **{str(status): _refusal(operation, status, by_type) for status in _refusals(operation)},
        },
    }
    if operation.body is not None:
        found["requestBody"] = {"content": _content(operation.body, by_type)}
    if operation.role == _OPEN:
        found["security"] = []
    return found


def _parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", operation.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for name in operation.query:
        yield {"name": name, "in": "query", "description": _QUERY[name], "schema": {"type": "string"}}


def _refusals(operation: Operation) -> list[int]:
    always = () if operation.role == _OPEN else (401, 403)
    return sorted({*always, *operation.refusals})


def _refusal(operation: Operation, status: int, by_type: dict[str, Any]) -> dict[str, Any]:
    answer = operation.answer if operation.role == _OPEN else shapes.Error
    return {"description": _REFUSALS[status], "content": _content(answer, by_type)}


def _content(answer: Any, by_type: dict[str, Any]) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {"schema": {"type": "string"}}}
    return {"application/json": {"schema": by_type[str(answer)]}}
