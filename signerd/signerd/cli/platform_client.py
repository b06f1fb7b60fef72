"""The API as the operator's commands use it: of the running server, of a named one, or in this process."""

import json
import ssl
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Protocol, cast

import httpx
import typer

from signerd.cli.command_errors import CommandFailed
from signerd.cli.config_option import read_config
from signerd.cli.control_client import NotRunning, send_command
from signerd.cli.status_report import read_report
from signerd.config.options import Config
from signerd.config.state_directory import StateDirectory
from signerd.state_lock import StateLocked, lock_state
from signerd_kms.slug import make_slug

TIMEOUT_SECONDS = 60.0
Json = dict[str, object]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Sender(Protocol):
    """Sends one request."""

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: object | None
    ) -> httpx.Response:
        """Give the response."""
        ...


@dataclass(frozen=True, slots=True)
class PlatformClient:
    """Sends requests and gives what comes back.

    Attributes:
        organisation: Slug or identity of the one that requests are for.
        state: Of the server on this machine.
        is_local: Whether requests are answered in this process, for whoever runs it.
        project: Likewise; None for none.
    """

    send: Sender
    organisation: str
    state: StateDirectory
    is_local: bool
    project: str | None = None

    def within(self, organisation: str | None) -> "PlatformClient":
        """Give a client for another organisation; None changes nothing."""
        return self if organisation is None else replace(self, organisation=organisation)

    def inside(self, project: str | None) -> "PlatformClient":
        """Give a client for a project; None changes nothing."""
        return self if project is None else replace(self, project=project)

    def get(self, path: str) -> Json:
        """Get an object."""
        return cast("Json", self.call("GET", path))

    def list(self, path: str) -> Sequence[Json]:
        """Get a list of objects."""
        return cast("list[Json]", self.call("GET", path))

    def post(self, path: str, body: object | None = None) -> Json:
        """Make something."""
        return cast("Json", self.call("POST", path, body))

    def put(self, path: str, body: object) -> Json:
        """Change something."""
        return cast("Json", self.call("PUT", path, body))

    def delete(self, path: str) -> None:
        """Delete something."""
        self.call("DELETE", path)

    def call(self, method: str, path: str, body: object | None = None) -> object:
        """Send a request.

        Raises:
            CommandFailed: The server refused it, or cannot be reached.
        """
        headers = {"X-Organisation-Identity": self.organisation}
        if self.project is not None:
            headers["X-Project-Identity"] = self.project
        try:
            response = self.send(method, path, headers, body)
        except httpx.HTTPError as error:
            raise CommandFailed(f"the server cannot be reached: {error}") from error
        try:
            content: object = response.json() if response.content else None
        except ValueError as error:
            raise CommandFailed(
                f"the server answered with status {response.status_code} and no JSON"
            ) from error
        if response.is_success:
            return content
        message = cast("Json", content).get("message") if isinstance(content, dict) else None
        raise CommandFailed(f"{message or 'refused'} (status {response.status_code})")


@contextmanager
def connect_platform(
    config_file: Path | None, state_path: Path | None, url: str | None, token_file: Path | None
) -> Generator[PlatformClient]:
    """Reach the API: at a URL, of the server that runs here, or in this process when none runs.

    Raises:
        BadConfig: With every problem of the configuration.
        CommandFailed: There is no way to it.
    """
    config = read_config(config_file, state_path)
    state = StateDirectory(config.state_directory)
    organisation = make_slug(config.organisation.name)
    server = _Server(url) if url is not None else _find_running(config, state)
    if server is not None:
        token = _read_token(token_file or state.admin_token)
        with httpx.Client(
            base_url=server.url, transport=server.transport, timeout=TIMEOUT_SECONDS, trust_env=False
        ) as client:
            yield PlatformClient(_make_remote_sender(client, token), organisation, state, is_local=False)
        return
    if not state.database.exists():
        raise CommandFailed(f"{state.database}: there is no database; name the state directory with --state")
    state.run.mkdir(exist_ok=True)
    try:
        with lock_state(state):
            # imported only here: the whole server takes most of the time of a short command
            from signerd.cli.local_api import make_local_sender

            yield PlatformClient(make_local_sender(config), organisation, state, is_local=True)
    except StateLocked as error:
        raise CommandFailed(f"{error}, but it does not reply") from error


@dataclass(frozen=True, slots=True)
class _Server:
    """Where a server is, and how it is reached if not in the usual way."""

    url: str
    transport: httpx.BaseTransport | None = None


def _find_running(config: Config, state: StateDirectory) -> _Server | None:
    """Find the server that runs on a state directory; None if none does."""
    try:
        report = read_report(send_command(state.control_socket, "status"))
    except NotRunning:
        return None
    admin = config.admin
    if admin.socket is not None:
        return _Server("http://local", httpx.HTTPTransport(uds=str(admin.socket)))
    if report.admin is None:
        raise CommandFailed("the server runs without its API; its log says why")
    host, _, port = report.admin.rpartition("@")
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if admin.certificate is None:
        return _Server(f"http://{authority}")
    if admin.client_authorities is not None:
        raise CommandFailed("the API wants client certificates: set admin.socket, and commands use that")
    return _Server(f"https://{authority}", httpx.HTTPTransport(verify=_trust_only(admin.certificate)))


def _trust_only(certificate: Path) -> ssl.SSLContext:
    """Trust exactly the server's own certificate, whatever name it is for: it is asked by its address."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority
    return context


def _read_token(file: Path) -> str:
    token = file.read_text(encoding="ascii", errors="replace").strip()
    if not token:
        raise CommandFailed(f"{file}: there is no token in it")
    return token


def _make_remote_sender(client: httpx.Client, token: str) -> Sender:
    def send(method: str, path: str, headers: Mapping[str, str], body: object | None) -> httpx.Response:
        authorised = {**headers, "Authorization": f"Token {token}"}
        return client.request(method, path, headers=authorised, json=body)

    return send


def print_objects(objects: Sequence[Json], columns: Sequence[str], *, as_json: bool) -> None:
    """Print objects as a table with the members named, or as JSON with all."""
    if as_json:
        typer.echo(json.dumps(list(objects), indent=2))
        return
    rows = [columns, *([_format(item.get(column)) for column in columns] for item in objects)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    for row in rows:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_object(item: Json) -> None:
    """Print an object with all its members, as JSON."""
    typer.echo(json.dumps(item, indent=2))


def _format(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(_format(item) for item in cast("list[object]", value)) or "-"
    if isinstance(value, dict):
        named = cast("Json", value)
        return _format(named.get("slug") or named.get("name"))
    return "-" if value in (None, "") else str(value)
