"""Operations a second over HTTP, with the audit on, beside a bare endpoint that commits as durably.

The peer is Starlette on Hypercorn whose handler appends one row in a group commit with fsync and answers.
Server and load run on the same machine, so only figures of one run compare; CPU time of the server is the
steadier one.

    python -P bench/api.py [--seconds 3] [--profile FILE]
"""

import argparse
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

TICKS = os.sysconf("SC_CLK_TCK")
UNLIMITED = 1e9
Body = dict[str, object]


@dataclass
class Load:
    """What the connections of one run saw."""

    seconds: list[float] = field(default_factory=list[float])
    elapsed: float = 0.0
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.elapsed

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]

    @property
    def cpu_each(self) -> float:
        return self.cpu / len(self.seconds)


def make_request(path: str, body: Body, headers: dict[str, str]) -> bytes:
    octets = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(octets)}", "", ""]
    return "\r\n".join(lines).encode() + octets


class Ended(Exception):
    """The server has closed the connection, as it does after some number of requests."""


async def ask(stream: trio.SocketStream, request: bytes) -> bytes:
    """Send a request and give the body of the response."""
    await stream.send_all(request)
    buffer = await receive(stream)
    while b"\r\n\r\n" not in buffer:
        buffer += await receive(stream)
    head, _, body = buffer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += await receive(stream)
    if head[9:12] != b"200":
        raise SystemExit(f"unexpected answer: {head!r} {body!r}")
    return body


async def receive(stream: trio.SocketStream) -> bytes:
    received = await stream.receive_some()
    if not received:
        raise Ended
    return bytes(received)


async def load(port: int, request: bytes, connections: int, seconds: float, pid: int) -> Load:
    """Keep connections busy for some seconds."""
    result = Load()

    async def run() -> None:
        while time.perf_counter() < end:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                with contextlib.suppress(Ended, trio.BrokenResourceError):
                    while (now := time.perf_counter()) < end:
                        await ask(stream, request)
                        result.seconds.append(time.perf_counter() - now)

    cpu = read_cpu(pid)
    start = time.perf_counter()
    end = start + seconds
    async with trio.open_nursery() as nursery:
        for _ in range(connections):
            nursery.start_soon(run)
    result.elapsed = time.perf_counter() - start
    result.cpu = read_cpu(pid) - cpu
    return result


def read_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def serve_signerd(directory: Path) -> None:
    """Serve the whole API on a fresh database; print what the load needs."""
    from api_server import serve
    from deployment import make_deployment
    from signerd.api.application import ApiOptions, make_application
    from signerd.api.rate_limit import Rate, Rates
    from signerd_kms.attribution import NOBODY
    from signerd_kms.key import KeyType, Scope

    unlimited = Rate(UNLIMITED, UNLIMITED)
    with make_deployment(directory) as deployment:
        scope = Scope(deployment.platform.organisation, deployment.platform.region)
        keys = {
            kind: deployment.kms.create_key(scope, kind, KeyType(kind), by=NOBODY).identity
            for kind in ("aes256-gcm96", "ecdsa-p256", "hmac")
        }
        options = ApiOptions(Rates(unlimited, unlimited, unlimited, unlimited))
        async with serve(make_application(deployment.admin_parts, options=options)) as address:
            print(json.dumps({"port": address.port, "token": deployment.token, "keys": keys}), flush=True)
            await trio.to_thread.run_sync(sys.stdin.read)


async def serve_bare(directory: Path) -> None:
    """Serve one endpoint that commits one row a request."""
    from sqlalchemy import Connection, text
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from api_server import serve
    from signerd.store.engine import open_database
    from signerd_kms.group_commit import GroupCommit

    engine = open_database(directory / "bare.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)"))
    writer = GroupCommit(engine)
    insert = text("INSERT INTO rows (body) VALUES (:body)")
    limiter = trio.CapacityLimiter(64)

    async def answer(request: Request) -> Response:
        body = await request.body()

        def append(connection: Connection) -> None:
            connection.execute(insert, {"body": body})

        await trio.to_thread.run_sync(writer.write, append, limiter=limiter)
        return JSONResponse({"done": True})

    async with serve(Starlette(routes=[Route("/", answer, methods=["POST"])])) as address:
        print(json.dumps({"port": address.port}), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)


@contextmanager
def run_server(kind: str, directory: Path, profile: str | None) -> Generator[tuple[int, Body]]:
    command = [sys.executable, "-P", __file__, "--serve", kind, str(directory)]
    if profile is not None:
        command += ["--profile", profile]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.pid, json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


def serve_until_told(kind: str, directory: Path, profile: str | None) -> None:
    run = serve_signerd if kind == "signerd" else serve_bare
    if profile is None:
        trio.run(run, directory)
        return
    import cProfile
    import threading

    # calls are handled in worker threads, so that is where to look
    profiles: list[cProfile.Profile] = []

    def start_profile(*_: object) -> None:  # the first event of a thread
        profiler = cProfile.Profile()
        profiles.append(profiler)
        profiler.enable()

    threading.setprofile(start_profile)
    trio.run(run, directory)
    import pstats

    pstats.Stats(*profiles).dump_stats(profile)


def measure(seconds: float, profile: str | None) -> None:
    text = base64.b64encode(bytes(256)).decode()
    with tempfile.TemporaryDirectory() as directory:
        rows: list[tuple[str, int, Load, Load]] = []
        for kind in ("signerd", "bare"):
            (Path(directory) / kind).mkdir()
        with (
            run_server("bare", Path(directory) / "bare", None) as (bare_pid, bare),
            run_server("signerd", Path(directory) / "signerd", profile) as (pid, made),
        ):
            headers = {"Authorization": f"Token {made['token']}", "X-Organisation-Identity": "local-test"}
            keys = made["keys"]
            assert isinstance(keys, dict)
            port, bare_port = int(str(made["port"])), int(str(bare["port"]))

            def make(kind: str, action: str, body: Body) -> bytes:
                return make_request(f"/v1/kms/nl-01/keys/{keys[kind]}/{action}", body, headers)

            async def fetch_ciphertext() -> str:
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    answer = await ask(stream, make("aes256-gcm96", "encrypt", {"plaintext": text}))
                    return str(json.loads(answer)["ciphertext"])

            operations = {
                "encrypt 256 octets": make("aes256-gcm96", "encrypt", {"plaintext": text}),
                "decrypt": make("aes256-gcm96", "decrypt", {"ciphertext": trio.run(fetch_ciphertext)}),
                "sign P-256": make("ecdsa-p256", "sign", {"input": text}),
                "hmac": make("hmac", "hmac", {"input": text}),
            }
            simple = make_request("/", {"plaintext": text}, {})
            for connections in (1, 50):
                for name, request in operations.items():
                    peer = trio.run(load, bare_port, simple, connections, seconds, bare_pid)
                    own = trio.run(load, port, request, connections, seconds, pid)
                    rows.append((name, connections, own, peer))
    figures = ["a second", "p99", "CPU each"]
    print("|", " | ".join(["Operation", "Connections", *figures, *figures, "CPU ratio"]), "|")
    print("|---" * (3 + 2 * len(figures)) + "|")
    for name, connections, own, peer in rows:
        cells = [name, str(connections), *describe(own), *describe(peer)]
        print("|", " | ".join([*cells, f"{own.cpu_each / peer.cpu_each:.1f}"]), "|")


def describe(load: Load) -> list[str]:
    return [f"{load.rate:,.0f}", f"{load.p99 * 1e3:.1f} ms", f"{load.cpu_each * 1e6:,.0f} us"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--profile", help="write a profile of the worker threads here")
    parser.add_argument("--serve", nargs=2, metavar=("KIND", "DIR"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_until_told(options.serve[0], Path(options.serve[1]), options.profile)
    else:
        measure(options.seconds, options.profile)


if __name__ == "__main__":
    main()
