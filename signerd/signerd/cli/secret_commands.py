"""`signerd secret`: secrets over the API. Values come from standard input or files, never from arguments."""

import base64
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.connection import Connection, takes_organisation
from signerd.cli.platform_client import Json, JsonOption, PlatformClient, print_object, print_objects

NOT_FOUND = 404
MAX_INPUT = 1 << 20  # octets; a value is smaller, and what is larger is a mistake
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

PathArgument = Annotated[str, typer.Argument(metavar="PATH", help="Such as /app/prod/db/password.")]
VersionArgument = Annotated[int, typer.Argument(metavar="VERSION", min=1)]
RegionOption = Annotated[
    str | None,
    typer.Option("--region", metavar="REGION", help="Slug or identity; default: the configured region."),
]
ProjectOption = Annotated[
    str | None, typer.Option("--project", metavar="PROJECT", help="Slug or identity; default: none.")
]
FileOption = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="In place of standard input.")
]


def add_secret_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Secrets: named values with versions.")
    group.command("put")(explain_errors(put_secret))
    group.command("get")(explain_errors(get_secret))
    group.command("list")(explain_errors(list_secrets))
    group.command("versions")(explain_errors(list_versions))
    group.command("destroy")(explain_errors(destroy_version))
    group.command("delete")(explain_errors(delete_secret))
    group.command("policy")(explain_errors(handle_policy))
    settings = {"allow_extra_args": False, "ignore_unknown_options": True}
    group.command("exec", context_settings=settings)(explain_errors(exec_with_secrets))
    app.add_typer(group, name="secret")


class _Secrets:
    """The calls on the secrets of one region."""

    def __init__(self, client: PlatformClient, region: str) -> None:
        self._client = client
        self._root = f"/v1/secrets/{region}"

    def create(self, body: Json) -> Json:
        return self._client.post(f"{self._root}/secrets", body)

    def find(self, path: str) -> Json | None:
        """Give a secret, or None if there is none."""
        try:
            return self._client.get(self._at(path) + "?includeVersions=true")
        except CommandFailed as error:
            if f"(status {NOT_FOUND})" in str(error):
                return None
            raise

    def get(self, path: str) -> Json:
        return self._client.get(self._at(path) + "?includeVersions=true")

    def put(self, path: str, value: Json) -> Json:
        return self._client.post(self._at(path) + "/versions", value)

    def reveal(self, path: str, version: int | None) -> Json:
        return self._client.post(self._at(path) + "/value", {} if version is None else {"version": version})

    def destroy(self, path: str, version: int) -> None:
        self._client.delete(f"{self._at(path)}/versions?version={version}")

    def delete(self, path: str) -> None:
        self._client.delete(self._at(path))

    def set_policy(self, path: str, policy: object) -> Json:
        return self._client.put(self._at(path) + "/policy", {"accessPolicy": policy})

    def browse(self, directory: str) -> Json:
        return self._client.get(f"{self._root}/secrets?path={directory}")

    def list_below(self, prefix: str) -> Sequence[Json]:
        return self._client.list(f"{self._root}/secrets?pathPrefix={prefix}")

    def _at(self, path: str) -> str:
        if not path.startswith("/"):
            raise CommandFailed(f"{path}: a path begins with a slash")
        if re.search(r"[^A-Za-z0-9/_.+-]", path):  # it stands in a URL
            raise CommandFailed(f"{path}: a path has only letters, digits and / _ - . +")
        return f"{self._root}/secret{path}"


@takes_organisation
def put_secret(
    connection: Connection,
    path: PathArgument,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="KMS key to bind a new secret to, by identity or slug."),
    ] = None,
    file: FileOption = None,
    key_values: Annotated[
        bool, typer.Option("--key-values", help="The input is a JSON object of names and values.")
    ] = False,
    generate: Annotated[
        int | None, typer.Option("--generate", metavar="OCTETS", min=1, help="Make a random value instead.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", help="Of a new secret.")] = None,
    region: RegionOption = None,
    project: ProjectOption = None,
) -> None:
    """Add a version, or make the secret with its first one if --key says with which key.

    The value is read from standard input as it is, a final newline included; on a terminal it is asked for.
    """
    with connection.open() as client:
        secrets = _open(client, connection, region, project)
        known = secrets.find(path)
        if known is None and key is None:
            raise CommandFailed(f"there is no secret {path}; name the KMS key of a new one with --key")
        value = _read_value(file, is_key_values=key_values, generate=generate)
        if known is None:
            secrets.create({"path": path, "kmsKeyIdentity": key, "description": description or "", **value})
            typer.echo(f"{path}: version 1")
        else:
            bound = cast("Json", known["kmsKey"])
            if key is not None and key not in (bound["identity"], bound["slug"]):
                raise CommandFailed(f"{path} is bound to the key {bound['identity']}, for ever")
            typer.echo(f"{path}: version {secrets.put(path, value)['version']}")


@takes_organisation
def get_secret(
    connection: Connection,
    path: PathArgument,
    version: Annotated[int | None, typer.Option("--version", min=1, help="Default: the current one.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Do not ask before showing it on a terminal.")] = False,
    region: RegionOption = None,
    project: ProjectOption = None,
) -> None:
    """Print a value, exactly; one of names and values as a JSON object."""
    if sys.stdout.isatty() and not show:
        typer.confirm(f"Show the value of {path} on this terminal?", abort=True, err=True)
    with connection.open() as client:
        revealed = _open(client, connection, region, project).reveal(path, version)
    sys.stdout.buffer.write(_decode_value(revealed))
    if sys.stdout.isatty():
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


@takes_organisation
def list_secrets(
    connection: Connection,
    directory: Annotated[str, typer.Argument(metavar="DIRECTORY")] = "/",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="All below it.")] = False,
    as_json: JsonOption = False,
    region: RegionOption = None,
    project: ProjectOption = None,
) -> None:
    """List what you may read in a directory."""
    with connection.open() as client:
        secrets = _open(client, connection, region, project)
        if recursive:
            found, prefixes = secrets.list_below(directory), list[str]()
        else:
            level = secrets.browse(directory)
            found, prefixes = cast("list[Json]", level["secrets"]), cast("list[str]", level["prefixes"])
    if not as_json:
        for prefix in prefixes:
            typer.echo(prefix)
    print_objects(found, ["path", "currentVersion", "kmsKey", "updatedAt"], as_json=as_json)


@takes_organisation
def list_versions(
    connection: Connection,
    path: PathArgument,
    as_json: JsonOption = False,
    region: RegionOption = None,
    project: ProjectOption = None,
) -> None:
    """List all versions that ever were."""
    with connection.open() as client:
        secret = _open(client, connection, region, project).get(path)
    versions = cast("list[Json]", secret["versions"])
    columns = ["version", "status", "stage", "valueFormat", "createdAt", "destroyedAt", "lastAccessedAt"]
    print_objects(versions, columns, as_json=as_json)


@takes_organisation
def destroy_version(
    connection: Connection,
    path: PathArgument,
    version: VersionArgument,
    region: RegionOption = None,
    project: ProjectOption = None,
) -> None:
    """Erase the value of a version for good; the history stays."""
    with connection.open() as client:
        _open(client, connection, region, project).destroy(path, version)
    typer.echo(f"{path}: version {version} is destroyed")


@takes_organisation
def delete_secret(
    connection: Connection,
    path: PathArgument,
    region: RegionOption = None,
    project: ProjectOption = None,
) -> None:
    """Remove a secret with all its versions, for good."""
    with connection.open() as client:
        _open(client, connection, region, project).delete(path)
    typer.echo(f"{path} is deleted")


@takes_organisation
def handle_policy(
    connection: Connection,
    path: PathArgument,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Set the policy in it, as JSON.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the policy.")] = False,
    region: RegionOption = None,
    project: ProjectOption = None,
) -> None:
    """Print, set or clear the access policy."""
    if clear and file is not None:
        raise CommandFailed("--file and --clear exclude each other")
    policy: object = None
    if file is not None:
        try:
            policy = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CommandFailed(f"{file}: is no JSON: {error}") from error
    with connection.open() as client:
        secrets = _open(client, connection, region, project)
        secret = secrets.set_policy(path, policy) if clear or file is not None else secrets.get(path)
    print_object(cast("Json", secret.get("accessPolicy") or {}))


@takes_organisation
def exec_with_secrets(
    connection: Connection,
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]PATH... -- COMMAND...",
            help="NAME is the variable; without it the last segment of the path in capitals. "
            "A value of names and values gives one variable for each name.",
        ),
    ],
    region: RegionOption = None,
    project: ProjectOption = None,
) -> None:
    """Run a command with values in its environment, and in nothing else."""
    names, command = _split_arguments(sys.argv, arguments)
    variables: dict[bytes, bytes] = {}
    with connection.open() as client:
        secrets = _open(client, connection, region, project)
        for name, path in names:
            for variable, value in _list_variables(name, path, secrets.reveal(path, None)).items():
                if variable.encode() in variables:
                    raise CommandFailed(f"two secrets give the variable {variable}")
                variables[variable.encode()] = value
    try:
        os.execvpe(command[0], command, {**os.environb, **variables})  # noqa: S606  # what the operator asked for
    except FileNotFoundError as error:
        raise CommandFailed(f"{command[0]}: no such command") from error


def _split_arguments(
    whole: Sequence[str], arguments: Sequence[str]
) -> tuple[list[tuple[str | None, str]], list[str]]:
    """Part paths from the command at the `--`, which the parser of options leaves out of `arguments`."""
    if "--" not in whole:
        raise CommandFailed("separate the command from the paths with --")
    command = list(whole[list(whole).index("--") + 1 :])
    paths = list(arguments[: len(arguments) - len(command)])
    if not command or not paths:
        raise CommandFailed("name at least one path, and a command after the --")
    names: list[tuple[str | None, str]] = []
    for text in paths:
        name, equals, path = text.partition("=")
        if equals and _VARIABLE.fullmatch(name) is None:
            raise CommandFailed(f"{name!r} is no name of a variable")
        names.append((name, path) if equals else (None, text))
    return names, command


def _list_variables(name: str | None, path: str, revealed: Json) -> Mapping[str, bytes]:
    items = revealed.get("secretKeyValues")
    if items is None:
        variable = name or re.sub(r"[^A-Za-z0-9]", "_", path.rpartition("/")[2]).upper()
        found = {variable: _decode_value(revealed)}
    else:
        prefix = "" if name is None else f"{name}_"
        found = {prefix + key: value.encode() for key, value in cast("dict[str, str]", items).items()}
    for variable, value in found.items():
        if _VARIABLE.fullmatch(variable) is None:
            raise CommandFailed(f"{path}: {variable!r} is no name of a variable; give one with NAME=PATH")
        if b"\0" in value:
            raise CommandFailed(f"{path}: its value holds a NUL, which no environment can")
    return found


def _open(
    client: PlatformClient, connection: Connection, region: str | None, project: str | None
) -> _Secrets:
    place = region or connection.read_config().region.slug
    return _Secrets(client.inside(project), place)


def _read_value(file: Path | None, *, is_key_values: bool, generate: int | None) -> Json:
    """Read a value as the API takes it."""
    if generate is not None:
        if file is not None or is_key_values:
            raise CommandFailed("--generate makes the value: it takes no input")
        return {"generateSecret": {"byteLength": generate}}
    if file is not None:
        octets = file.read_bytes()
    elif sys.stdin.isatty():
        octets = str(typer.prompt("Value", hide_input=True, confirmation_prompt=True, err=True)).encode()
    else:
        octets = sys.stdin.buffer.read(MAX_INPUT + 1)
    if len(octets) > MAX_INPUT:
        raise CommandFailed(f"the value is larger than {MAX_INPUT} octets")
    if not is_key_values:
        return {"secretString": base64.b64encode(octets).decode()}
    try:
        return {"secretKeyValues": json.loads(octets)}
    except ValueError:  # without its text, which may quote the value
        raise CommandFailed("the value is no JSON object of names and values") from None


def _decode_value(revealed: Json) -> bytes:
    if "secretKeyValues" in revealed:
        return json.dumps(revealed["secretKeyValues"], ensure_ascii=False, indent=2).encode()
    return base64.b64decode(str(revealed["secretString"]))
