"""`signerd token`: personal access tokens."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from signerd.cli.command_errors import CommandFailed, explain_errors
from signerd.cli.connection import Connection, takes_connection
from signerd.cli.platform_client import JsonOption, PlatformClient, print_objects
from signerd.config.quantity import parse_duration
from signerd.custody import deliver_token

UserOption = Annotated[
    str | None,
    typer.Option("--user", metavar="SUBJECT", help="Whose; default: the operator's, if there is only one."),
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What you call it.")]
TokenArgument = Annotated[str, typer.Argument(metavar="TOKEN", help="Identity, from `signerd token list`.")]
ExpiresOption = Annotated[str, typer.Option("--expires", metavar="DURATION", help="Such as 90d or 12h.")]
ScopeOption = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="SCOPE", help="api:read or api:write; default: no limit."),
]
ProjectOption = Annotated[
    str | None, typer.Option("--project", metavar="PROJECT", help="The only one it works in; needs --org.")
]
OnlyOrganisationOption = Annotated[
    str | None, typer.Option("--org", metavar="ORG", help="The only organisation it works in.")
]


def add_token_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Personal access tokens.")
    group.command("list")(explain_errors(list_tokens))
    group.command("create")(explain_errors(create_token))
    group.command("rotate")(explain_errors(rotate_token))
    group.command("revoke")(explain_errors(revoke_token))
    app.add_typer(group, name="token")


@takes_connection
def list_tokens(connection: Connection, user: UserOption = None, as_json: JsonOption = False) -> None:
    """List a user's tokens; the tokens themselves are not kept anywhere."""
    with connection.open() as client:
        found = client.list(_find_path(client, user))
    columns = ["identity", "name", "scopes", "expiresAt", "lastUsedAt", "revokedAt"]
    print_objects(found, columns, as_json=as_json)


@takes_connection
def create_token(
    connection: Connection,
    name: NameArgument,
    user: UserOption = None,
    expires: ExpiresOption = "90d",
    scope: ScopeOption = None,
    org: OnlyOrganisationOption = None,
    project: ProjectOption = None,
) -> None:
    """Make a token and print it, once."""
    try:
        lifetime = timedelta(seconds=parse_duration(expires))
        expires_at = (datetime.now(UTC) + lifetime).isoformat(timespec="seconds")
    except (ValueError, OverflowError) as error:
        raise CommandFailed(f"--expires: {error}") from error
    body = {
        "name": name,
        "expiresAt": expires_at,
        "scopes": scope or [],
        "organisation": org,
        "project": project,
    }
    with connection.open() as client:
        made = client.post(_find_path(client, user), body)
    typer.echo(made["token"])


@takes_connection
def rotate_token(connection: Connection, token: TokenArgument, user: UserOption = None) -> None:
    """Replace a token by a new one and print it; the old one ends at once.

    If it is the one in the token file of this machine, the file gets the new one.
    """
    with connection.open() as client:
        made = client.post(f"{_find_path(client, user)}/{token}/rotate")
        for file in {connection.token_file or client.state.admin_token, client.state.admin_token}:
            if _holds(file, token):
                deliver_token(file, str(made["token"]))
                typer.echo(f"{file} has the new token", err=True)
    typer.echo(made["token"])


@takes_connection
def revoke_token(connection: Connection, token: TokenArgument, user: UserOption = None) -> None:
    """End a token at once."""
    with connection.open() as client:
        client.delete(f"{_find_path(client, user)}/{token}")
    typer.echo(f"{token} is revoked")


def _find_path(client: PlatformClient, user: str | None) -> str:
    """Give the path of a user's tokens; without a name those of the caller, or of the only user there is."""
    if user is not None:
        return f"/v1/users/{user}/tokens"
    if not client.is_local:
        return "/v1/me/tokens"
    users = client.list("/v1/users")
    if len(users) != 1:
        raise CommandFailed("there are several users: name one with --user")
    return f"/v1/users/{users[0]['subject']}/tokens"


def _holds(file: Path, token: str) -> bool:
    try:
        text = file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return False
    return os.access(file, os.W_OK) and f"_{token}_" in text
