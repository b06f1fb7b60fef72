"""How commands reach the API: the options that all of these take, as one value."""

import functools
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Concatenate, Final, ParamSpec

import typer

from signerd.cli.config_option import ConfigOption, StateOption, read_config
from signerd.cli.platform_client import PlatformClient, connect_platform
from signerd.config.options import Config

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="SIGNERD_URL",
        metavar="URL",
        help="Server to ask, in place of the one on this machine.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="SIGNERD_TOKEN_FILE",
        metavar="FILE",
        help="File with the token; default: admin.token in the state directory.",
    ),
]
OrganisationOption = Annotated[
    str | None,
    typer.Option(
        "--org", metavar="ORG", help="Organisation, by slug or identity; default: the configured one."
    ),
]

Parameters = ParamSpec("Parameters")


@dataclass(frozen=True, slots=True)
class Connection:
    """What the options say.

    Attributes:
        config: Configuration file.
        state: State directory.
        url: Server to ask.
        token_file: File with the token.
        org: Organisation that requests are for.
    """

    config: Path | None = None
    state: Path | None = None
    url: str | None = None
    token_file: Path | None = None
    org: str | None = None

    @contextmanager
    def open(self) -> Generator[PlatformClient]:
        """Reach the API.

        Raises:
            BadConfig: With every problem of the configuration.
            CommandFailed: There is no way to it.
        """
        with connect_platform(self.config, self.state, self.url, self.token_file) as client:
            yield client.within(self.org)

    def read_config(self) -> Config:
        """Read the configuration.

        Raises:
            BadConfig: With every problem of the file.
        """
        return read_config(self.config, self.state)


_REACH: Final[Mapping[str, object]] = {
    "config": ConfigOption,
    "state": StateOption,
    "url": UrlOption,
    "token_file": TokenFileOption,
}


def takes_connection(command: Callable[Concatenate[Connection, Parameters], None]) -> Callable[..., None]:
    """Give a command the options of a connection, after its own, and pass it a `Connection` first."""
    return _add_options(command, _REACH)


def takes_organisation(command: Callable[Concatenate[Connection, Parameters], None]) -> Callable[..., None]:
    """Likewise, with `--org` before them."""
    return _add_options(command, {"org": OrganisationOption, **_REACH})


def _add_options(
    command: Callable[Concatenate[Connection, Parameters], None], options: Mapping[str, object]
) -> Callable[..., None]:
    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        # what the options are annotated with is what they give
        connection = Connection(**{name: kwargs.pop(name) for name in options})  # type: ignore[arg-type]
        command(connection, *args, **kwargs)

    own = _list_own_parameters(command)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in options.items()
    ]
    # the signature is what options are made from, and not checked by anything else
    run.__dict__["__signature__"] = inspect.Signature([*own, *added])
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *added)}
    return run


def _list_own_parameters(
    command: Callable[Concatenate[Connection, Parameters], None],
) -> Sequence[inspect.Parameter]:
    """Give the parameters of a command but the connection."""
    return list(inspect.signature(command).parameters.values())[1:]
