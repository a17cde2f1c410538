"""A real HTTP server on loopback that answers by a script, and a clock that moves only when somebody sleeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Answer(NamedTuple):
    """One scripted answer; `claims` is a Content-Length that may lie."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}
    claims: int | None = None


class ScriptedServer(ThreadingHTTPServer):
    """Answers from `script`, one request after the other; the last answer is repeated. `paths` is what was asked,
    `bodies` what was posted."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: list[Answer] = [Answer()]
        self.paths: list[str] = []
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        answer = self.server.script.pop(0) if len(self.server.script) > 1 else self.server.script[0]
        self.send_response_only(answer.status)
        headers = {"Date": "Tue, 04 Mar 2025 09:00:00 GMT", **answer.headers}
        for name, value in {"Content-Length": str(answer.claims or len(answer.body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = answer.claims is not None

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Silent."""


@dataclass
class Clock:
    """Seconds; `sleep` moves them."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
