"""Where the configuration and the state are: the options that most commands take."""

from pathlib import Path
from typing import Annotated

import typer

from signerd.config.loader import load_config
from signerd.config.options import Config
from signerd.config.state_directory import StateDirectory

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="SIGNERD_CONFIG",
        metavar="FILE",
        help="Configuration file; without it the embedded defaults hold.",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="State directory, in place of the configured one."),
]


def read_config(file: Path | None, state: Path | None) -> Config:
    """Read the configuration and put in the state directory that the operator named.

    Raises:
        BadConfig: With every problem of the file.
    """
    config = load_config(file)
    return config if state is None else config.model_copy(update={"state_directory": state})


def find_state(file: Path | None, state: Path | None) -> StateDirectory:
    """Find the state directory; the configuration is not read if it is named.

    Raises:
        BadConfig: With every problem of the file.
    """
    return StateDirectory(state if state is not None else read_config(file, None).state_directory)
