"""`signerd doctor`: is the deployment as safe as the program expects?"""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import typer

from signerd.cli.command_errors import FAILED, explain_errors
from signerd.cli.config_option import ConfigOption, StateOption, read_config
from signerd.cli.doctor_files import check_files, check_options
from signerd.cli.doctor_finding import Finding, Verdict
from signerd.cli.doctor_process import DIRECTIVES, ServerProcess, find_server
from signerd.config.state_directory import StateDirectory

SYSTEMCTL_SECONDS: Final = 10.0
OUT_OF_SIGHT: Final = (
    Finding(Verdict.UNSEEN, "backups", "whether there are any, and where the seals' copies are kept"),
    Finding(Verdict.UNSEEN, "disks", "whether they are encrypted, and who has their snapshots"),
    Finding(Verdict.UNSEEN, "audit.pub", "whether a copy is elsewhere, where an intruder does not reach it"),
    Finding(Verdict.UNSEEN, "network", "firewalls, and what proxies do with the headers they pass on"),
)
"""What no program on this machine can tell."""


def add_doctor(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(explain_errors(doctor))


def doctor(config: ConfigOption = None, state: StateOption = None) -> None:
    """Look at how the server is deployed: its user, limits, files and options.

    Prints a line for each thing: good, weak (a matter of choice), bad, or not seen. Exits with 1
    if one is bad.
    """
    options = read_config(config, state)
    findings = [
        *check_files(options, config),
        *check_options(options),
        *_check_process(options.state_directory),
    ]
    findings += OUT_OF_SIGHT
    for finding in findings:
        typer.echo(str(finding))
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(FAILED)


def _check_process(state: Path) -> list[Finding]:
    pid = find_server(StateDirectory(state).control_socket)
    if pid is None:
        return [Finding(Verdict.UNSEEN, "process", "the server is not running, or you are not its user")]
    process = ServerProcess(
        Path("/proc") / str(pid), Path("/proc/swaps"), Path("/sys/fs/cgroup"), ask_systemd
    )
    return [*process.check()]


def ask_systemd(unit: str) -> Mapping[str, str] | None:
    """Give the directives of a unit that matter here; None if systemd does not say."""
    program = shutil.which("systemctl")
    if program is None:
        return None
    command = [program, "show", f"--property={','.join(DIRECTIVES)}", "--", unit]
    try:
        shown = subprocess.run(  # noqa: S603  # a fixed program; the unit is one word of the kernel's
            command, capture_output=True, text=True, check=True, timeout=SYSTEMCTL_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {
        name: value for name, _, value in (line.partition("=") for line in shown.stdout.splitlines()) if value
    }
