"""Errors of commands as one clear line."""

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

import typer

from signerd.config.problem import BadConfig

FAILED = 1  # exit status of a command that could not do its work; wrong usage gives 2
PROGRAM = "signerd"

Parameters = ParamSpec("Parameters")


class CommandFailed(Exception):
    """A command cannot do its work; the text is for the operator and names what to do about it."""


def explain_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Make a command print what went wrong on standard error and exit with 1, without a traceback."""

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except BadConfig as error:
            for problem in error.problems:
                typer.echo(str(problem), err=True)
            raise typer.Exit(FAILED) from error
        except CommandFailed as error:
            typer.echo(f"{PROGRAM}: {error}", err=True)
            raise typer.Exit(FAILED) from error
        except BrokenPipeError:
            # The reader of the output has seen enough; Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(FAILED) from None
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            typer.echo(f"{PROGRAM}: {place}{error.strerror or error}", err=True)
            raise typer.Exit(FAILED) from error

    return run
