"""A chat server on the loopback interface that a test tells what to say."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], Any]
"""Status, headers, body."""


class JudgeServer:
    """What was asked, and where to ask."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []


def says(content: str | None, **message: Any) -> Reply:
    """A chat completion."""
    finish = message.pop("finish_reason", "stop")
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return 200, {}, {"choices": [choice]}


def verdict(**facts: Any) -> Reply:
    """A well-formed verdict."""
    return says(json.dumps({"reason": "because", **facts}))


def shown(request: dict[str, Any]) -> str:
    """What the judge is shown."""
    return str(request["messages"][-1]["content"])


@contextmanager
def serving(reply: Callable[[dict[str, Any]], Reply], port: int = 0) -> Iterator[JudgeServer]:
    """A server that answers each request with what `reply` makes of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            judge.asked.append(request)
            judge.headers.append({"path": self.path, **dict(self.headers)})
            status, headers, body = reply(request)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    judge = JudgeServer(f"http://127.0.0.1:{server.server_port}/v1")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield judge
    finally:
        server.shutdown()
        server.server_close()
