"""A receiver of webhooks on the loopback: answers as told, and keeps what it got."""

import http.server
import queue
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Where events are posted.

    Attributes:
        url: Its address.
        statuses: What it answers next; 204 once they are used up.
        headers: Of each answer.
        body: Of each answer.
        hold: Answers come only while it is set.
        received: All requests.
        arrivals: The same, for whoever waits for the next.
    """

    url: str = ""
    statuses: list[int] = field(default_factory=list[int])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    hold: threading.Event = field(default_factory=threading.Event)
    received: list[Received] = field(default_factory=list[Received])
    arrivals: "queue.Queue[Received]" = field(default_factory=lambda: queue.Queue())

    def take(self, seconds: float = 60.0) -> Received:
        """Wait for the next request."""
        return self.arrivals.get(timeout=seconds)


@contextmanager
def run_receiver(context: ssl.SSLContext | None = None, port: int = 0) -> Generator[Receiver]:
    """Run one until the block ends.

    Args:
        context: Makes it speak TLS.
        port: 0 for any that is free.
    """
    receiver = Receiver()
    receiver.hold.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Received(self.path, dict(self.headers.items()), body)
            receiver.received.append(request)
            receiver.arrivals.put(request)
            receiver.hold.wait(60)
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the base class
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that goes away early is no failure of the test

    server = Server(("127.0.0.1", port), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
