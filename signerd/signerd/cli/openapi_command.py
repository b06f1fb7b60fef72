"""`signerd openapi`: the document of the HTTP API."""

import json

import typer

from signerd.cli.command_errors import explain_errors


def add_openapi(app: typer.Typer) -> None:
    """Add the command."""
    app.command("openapi")(explain_errors(print_openapi))


def print_openapi() -> None:
    """Print the OpenAPI document of the HTTP API as JSON. Needs no running server."""
    # only here: loading it takes longer than the other commands need
    from signerd.admin_server import make_document_offline

    typer.echo(json.dumps(make_document_offline(), indent=2, ensure_ascii=False))
