"""Stands in for Elasticsearch, which is too large to run beside tests.

It answers the few calls that a service makes as the real one would, product header
included, and finds documents by plain words. What it shows is that the service asks rightly
and bears its absence, not how well Elasticsearch searches.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.services import free_port

TYPE = "application/vnd.elasticsearch+json;compatible-with=9"
INFO = {
    "name": "stand-in",
    "cluster_name": "stand-in",
    "version": {"number": "9.1.0", "build_flavor": "default"},
    "tagline": "You Know, for Search",
}


class Elasticsearch:
    """Keeps indexes in memory; it can be stopped, and started at the same address."""

    def __init__(self, authorization: str = "", certificate: Path | None = None) -> None:
        self.authorization = authorization
        self.certificate = certificate
        self.port = free_port()
        self.indexes: dict[str, dict[str, Any]] = {}
        self.server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to answer."""

        class Handler(BaseHTTPRequestHandler):
            def answer(handler) -> None:  # noqa: N805 - self is the stand-in
                length = int(handler.headers.get("Content-Length") or 0)
                body = handler.rfile.read(length)
                path = handler.path.partition("?")[0].strip("/").split("/")
                status, content = 401, {"error": {"type": "security_exception"}, "status": 401}
                if self.authorization in ("", handler.headers.get("Authorization")):
                    status, content = self.answer(handler.command, path, body)
                data = json.dumps(content).encode()
                handler.send_response(status)
                handler.send_header("X-Elastic-Product", "Elasticsearch")
                handler.send_header("Content-Type", TYPE)
                handler.send_header("Content-Length", str(len(data)))
                handler.end_headers()
                handler.wfile.write(data)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

            do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop answering: its port refuses connections."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def answer(self, method: str, path: list[str], body: bytes) -> tuple[int, Any]:
        """Return status and content for a call."""
        match method, path:
            case "GET", [""]:
                return 200, INFO
            case "PUT" | "POST", ["_bulk"]:
                return 200, self.bulk([json.loads(line) for line in body.splitlines() if line])
            case "PUT", [index]:
                self.indexes[index] = {}
                return 200, {"acknowledged": True, "index": index}
            case "DELETE", [index]:
                self.indexes.pop(index, None)
                return 200, {"acknowledged": True}
            case "PUT", [index, "_doc", key]:
                self.indexes.setdefault(index, {})[key] = json.loads(body)
                return 201, {"_index": index, "_id": key, "result": "created"}
            case "DELETE", [index, "_doc", key]:
                known = self.indexes.get(index, {}).pop(key, None) is not None
                return (200, {"result": "deleted"}) if known else (404, {"result": "not_found"})
            case "POST" | "GET", [index, "_search"]:
                return 200, self.search(self.indexes.get(index, {}), json.loads(body))
        return 501, {"error": f"{method} {'/'.join(path)} is not known to the stand-in"}

    def bulk(self, lines: list[Any]) -> Any:
        """Keep many documents, each behind a line that says where."""
        items = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            index, key = action["index"]["_index"], action["index"]["_id"]
            self.indexes.setdefault(index, {})[key] = document
            items.append({"index": {"_index": index, "_id": key, "status": 201}})
        return {"took": 1, "errors": False, "items": items}

    def search(self, documents: dict[str, Any], body: Any) -> Any:
        """Return the documents of an owner that hold one of the words."""
        query = body["query"]["bool"]
        words = set(query["must"]["multi_match"]["query"].lower().split())
        hits = [
            {"_id": key, "_score": 1.0}
            for key, document in documents.items()
            if document["owner"] == query["filter"]["term"]["owner"]
            and words & set(f"{document['title']} {document['text']}".lower().split())
        ]
        return {"took": 1, "timed_out": False, "hits": {"hits": hits[: body["size"]]}}


@contextmanager
def elasticsearch(
    authorization: str = "", certificate: Path | None = None
) -> Iterator[Elasticsearch]:
    """Yield a stand-in that answers, and stop it."""
    service = Elasticsearch(authorization, certificate)
    service.start()
    try:
        yield service
    finally:
        service.stop()
