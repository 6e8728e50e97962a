"""The part of GitHub's and GitLab's interfaces that a comment needs, on a real HTTP server on loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.webservers import web_server

TOKEN = "a-token"


class Forge:
    """Comments and labels of one request; `writes` are the requests that changed something, as method and path."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.labels: list[str] = ["bug"]
        self.writes: list[tuple[str, str]] = []
        self.url = ""

    def add(self, body: str, *, is_bot: bool) -> None:
        """Add a comment, of the token's account or of somebody else."""
        number = len(self.comments) + 1
        user = {"user": {"type": "Bot" if is_bot else "User"}, "author": {"id": 7 if is_bot else 8}}
        self.comments.append({"id": number, "body": body, **user})

    def answer(self, method: str, path: str, query: dict[str, list[str]], content: Any) -> Any:
        """Return what the forge says to one request."""
        if method != "GET":
            self.writes.append((method, path))
        match method, path.strip("/").split("/"):
            case "GET", [*_, "user"]:
                return {"id": 7}
            case "GET", [*_, "comments" | "notes"]:
                page, size = int(query["page"][0]), int(query["per_page"][0])
                return self.comments[(page - 1) * size : page * size]
            case "POST", [*_, "comments" | "notes"]:
                self.add(content["body"], is_bot=True)
                return self.comments[-1]
            case "PATCH" | "PUT", [*_, "comments" | "notes", number]:
                self.comments[int(number) - 1]["body"] = content["body"]
                return self.comments[int(number) - 1]
            case "GET", [*_, "labels"]:
                return [{"name": label} for label in self.labels]
            case "PUT", [*_, "labels"]:
                self.labels = content["labels"]
                return []
            case "GET", [*_, "merge_requests", _]:
                return {"labels": self.labels}
            case "PUT", [*_, "merge_requests", _]:
                removed, added = (content.get(name) for name in ("remove_labels", "add_labels"))
                assert "" not in (removed, added), "a label without a name"
                kept = {*self.labels}.difference((removed or "").split(","))
                self.labels = sorted(kept.union(added.split(",") if added else ()))
                return {}
        raise AssertionError(f"{method} {path}")


@contextmanager
def a_forge() -> Iterator[Forge]:
    """Serve a forge until the block ends; requests without the token get 401."""
    forge = Forge()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            sent = self.headers.get("Authorization", self.headers.get("PRIVATE-TOKEN", ""))
            length = int(self.headers.get("Content-Length") or 0)
            content = json.loads(self.rfile.read(length)) if length else None
            url = urlsplit(self.path)
            is_known = sent.removeprefix("Bearer ") == TOKEN
            answer = forge.answer(self.command, url.path, parse_qs(url.query), content) if is_known else {}
            body = json.dumps(answer).encode()
            self.send_response(200 if is_known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = handle_any

        def log_message(self, format: str, *args: object) -> None:
            """Tests print what they need."""

    with web_server(Handler) as origin:
        forge.url = origin
        yield forge
