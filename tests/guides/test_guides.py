"""The examples of the guides, run as a reader would: block by block against a server."""

import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from daemon_process import DaemonProcess

ROOT = Path(__file__).parents[2]
GUIDES = ["kms/GUIDE.md", "secrets/GUIDE.md"]
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def server(tmp_path: Path) -> Generator[DaemonProcess]:
    server = DaemonProcess(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def find_blocks(guide: str) -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in _BLOCK.finditer((ROOT / guide).read_text())]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_example_of_a_guide_works(guide: str, server: DaemonProcess, tmp_path: Path) -> None:
    blocks = find_blocks(guide)
    assert len(blocks) >= 5
    shell = "".join(text for language, text in blocks if language == "sh")
    report = server.status()
    assert report is not None
    host, _, port = str(report["admin"]).rpartition("@")
    environment = {
        **os.environ,
        "SIGNERD_URL": f"http://{host}:{port}",
        "SIGNERD_TOKEN_FILE": str(server.state / "admin.token"),
        "SIGNERD_CONFIG": str(server.directory / "signerd.yaml"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    work = tmp_path / "reader"
    work.mkdir()
    programs = [["bash", "-euo", "pipefail", "-c", shell]]
    programs += [[sys.executable, "-P", "-c", text] for language, text in blocks if language == "python"]
    for program in programs:
        done = subprocess.run(
            program, cwd=work, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
