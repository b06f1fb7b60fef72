"""The commands of kms/SEALS.md, run in its order."""

import os
import re
import subprocess
import sys
from pathlib import Path

from daemon_process import run_daemon

PAGE = Path(__file__).parents[2] / "kms" / "SEALS.md"
BLOCK = re.compile(r"^```(sh|yaml)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ZONE = "$TTL 300\n@ SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.1\n"


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said: list[str] = []
    (tmp_path / "passphrase").write_text("correct horse battery\n")
    with run_daemon(tmp_path, {"small.test.zone": ZONE}) as daemon:
        for kind, text in blocks:
            if kind == "yaml":
                daemon.stop()
                daemon.options = text.replace("state/", f"{daemon.state}/")
                daemon.start()
                continue
            done = subprocess.run(
                ["sh", "-e", "-c", text],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{text}{done.stdout}{done.stderr}"
            said.append(done.stdout)
        assert daemon.zone("small.test")["last_error"] is None
    assert any("generation 2 of the root key" in output for output in said)
    assert re.search(r"^break-glass +passphrase +generation 2", said[-1], re.MULTILINE)
    assert re.search(r"^file +file +no: reseal", said[-1], re.MULTILINE)
