"""The commands, run in this process."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import dns.zone
import pytest
import typer
from typer.testing import CliRunner, Result

from signerd.cli.command_errors import CommandFailed
from signerd.cli.control_client import NotRunning, send_command
from signerd.cli.main import make_app
from signerd.config.loader import parse_config
from signerd.config.options import Config
from signerd.config.state_directory import StateDirectory
from signerd.dnssec.key import compute_key_tag
from signerd.unix_address import short_address


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments])


@contextmanager
def serve_control(path: Path, replies: list[bytes]) -> Generator[list[dict[str, object]]]:
    """Be the server for some connections; gives the requests that arrived."""
    requests: list[dict[str, object]] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with short_address(path) as address:
            listener.bind(address)
        listener.listen()

        def serve() -> None:
            for reply in replies:
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as lines:
                    requests.append(json.loads(lines.readline()))
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield requests
        thread.join(10)
        assert not thread.is_alive()


REPLY = {
    "ok": True,
    "zones": [
        {
            "name": "example.com",
            "state": "serving",
            "serial": 1790000000,
            "source_serial": 7,
            "policy": "default",
            "signed": True,
            "records": 1234,
            "keys": [
                {"role": "ksk", "tag": 12345, "algorithm": 13, "kms_key": "kms-d9537foqog6c73bedc70"},
                {"role": "zsk", "tag": 54321, "algorithm": 13, "kms_key": None},
            ],
            "runway_seconds": 1166400,
            "expires_at": 1791166400,
            "next_refresh_at": 1790500000,
            "last_error": None,
            "notices": [],
            "served_by": 2,
        },
        {
            "name": "broken.example",
            "state": "rejected",
            "runway_seconds": 3700,
            "last_error": "zones/broken.example.zone:3: error: no SOA \x1b[31m",
            "notices": ["zones/broken.example.zone:9: warning: missing glue"],
            "new_field": 1,
        },
    ],
    "responders": [{"pid": 4711, "alive": True, "queries": 10, "restarts": 1, "loaded": {"example.com": 1}}],
    "started_at": 1790000000,
    "addresses": ["127.0.0.1@5300"],
    "admin": "127.0.0.1@8053",
}


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.startswith("signerd 0.")


@pytest.mark.parametrize(
    "arguments", [["ds"], ["--nonsense"], ["nonsense"], ["ds", "x", "--format", "nonsense"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert "Traceback" not in result.output


def test_config_check_prints_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("lisen: []\ntcp: {idle_timeout: soon}\n")
    result = run("config", "check", file)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"{file}:1: lisen: unknown option; did you mean 'listen'?",
        f"{file}:2: tcp.idle_timeout: 'soon' is no duration; write for example 14d, 1h30m or a number of "
        "seconds",
    ]


def test_config_check_of_a_missing_file_is_one_line(tmp_path: Path) -> None:
    result = run("config", "check", tmp_path / "none.yaml")
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path}/none.yaml: cannot be read: No such file or directory\n"


def test_config_show_prints_what_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_config(run("config", "show").stdout.encode(), "shown") == Config()
    file = tmp_path / "c.yaml"
    file.write_text("watch_interval: 250ms\n")
    monkeypatch.setenv("SIGNERD_CONFIG", str(file))
    shown = parse_config(run("config", "show", "--state", "elsewhere").stdout.encode(), "shown")
    assert shown.watch_interval == 0.25
    assert shown.state_directory == Path("elsewhere")


@pytest.mark.parametrize("zone", ["example.com", "example.com.", "EXAMPLE.com"])
def test_ds_is_printed_without_a_running_server(state: StateDirectory, zone: str) -> None:
    result = run("ds", zone, "--state", state.path)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[:4] for line in lines] == [["example.com.", "3600", "IN", "DS"]] * 2
    assert [line.split()[6] for line in lines] == ["2", "4"]


def test_ds_of_the_root_zone_can_be_had(state: StateDirectory) -> None:
    assert run("ds", ".", "--state", state.path, "--format", "dnskey").stdout.startswith(
        ". 3600 IN DNSKEY 257 3 13 "
    )


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        ("exmple.com", "signerd: zone 'exmple.com' is not served here; did you mean 'example.com'"),
        ("other.test", "signerd: zone 'other.test' is not served here\n"),
        ("a..b", "signerd: 'a..b' is no zone name: label of 0 octets; 1 to 63 are allowed\n"),
        ("pending.example", "signerd: no signed version of zone 'pending.example' was published yet\n"),
        ("unsigned.example", "signerd: zone 'unsigned.example' has no keys yet\n"),
    ],
)
def test_ds_says_in_one_line_what_is_wrong(state: StateDirectory, zone: str, message: str) -> None:
    result = run("ds", zone, "--state", state.path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_ds_names_the_keys_that_the_parent_shall_have_while_keys_change(
    state: StateDirectory, publish_rolling: Callable[[bytes], None]
) -> None:
    ksk = bytes.fromhex("0101030d") + bytes(64)
    publish_rolling(ksk)
    records = json.loads(run("ds", "rolling.example", "--state", state.path, "--format", "json").stdout)
    assert {record["keyTag"] for record in records["dsRecords"]} == {compute_key_tag(ksk)}


def test_ds_names_the_keys_that_a_running_server_wants_where_there_is_no_cdnskey(
    state: StateDirectory, publish_rolling: Callable[[bytes | None], None]
) -> None:
    publish_rolling(None)
    old = compute_key_tag(bytes.fromhex("0101030d") + bytes(range(64)))
    new = compute_key_tag(bytes.fromhex("0101030d") + bytes(64))
    there, hidden = {"presence": "omnipresent"}, {"presence": "hidden"}

    def describe(kind: str) -> bytes:
        keys = [
            {
                "name": name,
                "tag": tag,
                "role": "ksk",
                "algorithm": 13,
                "dnskey": there,
                "data": hidden,
                "ds": ds,
            }
            for name, tag, ds in (("ksk-1", old, there), ("ksk-3", new, hidden))
        ]
        zone = {"zone": "rolling.example", "sentence": "", "rollovers": [{"number": 3, "kind": kind}]}
        return json.dumps({"ok": True, "zones": [zone | {"keys": keys}]}).encode() + b"\n"

    def list_tags() -> set[int]:
        result = run("ds", "rolling.example", "--state", state.path, "--format", "json")
        return {record["keyTag"] for record in json.loads(result.stdout)["dsRecords"]}

    with serve_control(state.control_socket, [describe("ksk"), describe("zsk")]) as requests:
        assert list_tags() == {old}
        assert list_tags() == {old, new}  # nothing changes that the parent points to
    assert requests[0] == {"command": "rollover_status", "zone": "rolling.example"}
    assert list_tags() == {old, new}  # no server to ask


def test_ds_of_a_zone_that_goes_insecure_is_refused(
    state: StateDirectory, publish_rolling: Callable[[bytes], None]
) -> None:
    publish_rolling(bytes.fromhex("0000030000"))
    result = run("ds", "rolling.example", "--state", state.path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "goes insecure: the parent is to have no DS record of it" in result.stderr


def test_dump_prints_the_published_zone_as_a_master_file(state: StateDirectory, tmp_path: Path) -> None:
    result = run("dump", "example.com", "--state", state.path)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("example.com. 3600 IN SOA ns1.example.com. admin.example.com. 2026 ")
    assert [line.split()[3] for line in lines].count("RRSIG") == 3
    assert (
        len(dns.zone.from_text(result.stdout, origin="example.com.").get_rdataset("@", "DNSKEY") or ()) == 2
    )
    assert run("dump", "exmple.com", "--state", state.path).exit_code == 1


def test_a_state_directory_without_state_is_said(tmp_path: Path) -> None:
    result = run("ds", "example.com", "--state", tmp_path)
    assert result.exit_code == 1
    assert "holds no state of a server" in result.stderr


def test_status_of_a_running_server_is_a_table(state: StateDirectory) -> None:
    with serve_control(state.control_socket, [json.dumps(REPLY).encode() + b"\n"]) as requests:
        result = run("status", "--state", state.path)
    assert result.exit_code == 0
    assert requests == [{"command": "status"}]
    lines = result.stdout.splitlines()
    assert (
        lines[0] == "1 responder, on 127.0.0.1@5300, admin on 127.0.0.1@8053, since 2026-09-21 14:13:20 UTC"
    )
    assert lines[1].split() == ["ZONE", "STATE", "SERIAL", "RECORDS", "KEYS", "RUNWAY"]
    assert lines[2].split() == [
        "example.com", "serving", "1790000000", "1234", "ksk:12345/13", "zsk:54321/13", "13d12h"
    ]  # fmt: skip
    assert lines[3].split() == ["broken.example", "rejected", "-", "-", "-", "1h1m"]
    assert lines[4] == "broken.example: zones/broken.example.zone:3: error: no SOA ?[31m"


def test_verbose_status_prints_all_that_is_known(state: StateDirectory) -> None:
    with serve_control(state.control_socket, [json.dumps(REPLY).encode() + b"\n"]):
        text = run("status", "-v", "--state", state.path).stdout
    for expected in (
        "1790000000 (zone file: 7)",
        "2026-09-27 09:06:40 UTC",
        "12345 algorithm 13 kms-d9537foqog6c73bedc70",
        "warning: missing glue",
        "4711  alive       10         1      1",
    ):
        assert expected in text


def test_json_status_is_the_reply(state: StateDirectory) -> None:
    with serve_control(state.control_socket, [json.dumps(REPLY).encode() + b"\n"]):
        document = json.loads(run("status", "--json", "--state", state.path).stdout)
    assert document == {"running": True} | {name: value for name, value in REPLY.items() if name != "ok"}


def test_status_of_a_stopped_server_shows_what_is_published(state: StateDirectory) -> None:
    result = run("status", "--state", state.path)
    assert result.exit_code == 0
    assert "the server is not running" in result.stderr
    assert [line.split()[:3] for line in result.stdout.splitlines()[1:]] == [
        [".", "published", "2026"],
        ["example.com", "published", "2026"],
        ["pending.example", "unpublished", "-"],
        ["unsigned.example", "published", "2026"],
    ]
    document = json.loads(
        CliRunner().invoke(make_app(), ["status", "--json", "--state", str(state.path)]).stdout
    )
    assert document["running"] is False
    zone = document["zones"][1]
    assert zone["expires_at"] == 2_000_000_000
    assert [key["role"] for key in zone["keys"]] == ["ksk", "zsk"]


def test_reload_forget_and_clock_accept_reach_the_server(state: StateDirectory) -> None:
    replies = [b'{"ok": true, "messages": ["read 2 zones"]}\n', *[b'{"ok": true}\n'] * 3]
    with serve_control(state.control_socket, replies) as requests:
        results = [
            run("reload", "--state", state.path),
            run("reload", "Example.com.", "--state", state.path),
            run("forget", ".", "--state", state.path),
            run("clock", "accept", "--state", state.path),
        ]
    assert [result.exit_code for result in results] == [0] * 4
    assert results[0].stdout == "read 2 zones\n"
    assert requests == [
        {"command": "reload", "zone": None, "allow_mass_deletion": False},
        {"command": "reload", "zone": "example.com", "allow_mass_deletion": False},
        {"command": "forget", "zone": "."},
        {"command": "clock_accept"},
    ]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b'{"ok": false, "error": "no such zone"}\n', "no such zone"),
        (b'{"ok": false}\n', "without saying why"),
        (b"[]\n", "not a JSON object"),
        (b"nonsense\n", "not JSON"),
        (b'{"ok": tr', "closed the connection"),
        (b"", "closed the connection"),
    ],
)
def test_a_refusal_is_one_line(state: StateDirectory, reply: bytes, message: str) -> None:
    with serve_control(state.control_socket, [reply]):
        result = run("reload", "example.com", "--state", state.path)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_reply_that_is_not_understood_is_said(state: StateDirectory) -> None:
    with serve_control(state.control_socket, [b'{"ok": true, "zones": [{"name": 1}]}\n']):
        result = run("status", "--state", state.path)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "zones.0.name" in result.stderr


def test_commands_need_a_running_server(state: StateDirectory) -> None:
    result = run("reload", "--state", state.path)
    assert result.exit_code == 1
    assert result.stderr == f"signerd: the server is not running: nothing listens on {state.control_socket}\n"


def test_a_socket_that_nobody_listens_on_means_not_running(state: StateDirectory) -> None:
    state.run.mkdir()
    with socket.socket(socket.AF_UNIX) as left, short_address(state.control_socket) as address:
        left.bind(address)
    with pytest.raises(NotRunning):
        send_command(state.control_socket, "status")


def test_a_silent_server_is_not_waited_for_for_ever(state: StateDirectory) -> None:
    state.run.mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        with short_address(state.control_socket) as address:
            silent.bind(address)
        silent.listen()
        with pytest.raises(CommandFailed, match="did not reply within"):
            send_command(state.control_socket, "status", timeout=0.05)


def test_the_control_socket_may_lie_deep(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / ("d" * 100) / ("e" * 100))
    with serve_control(state.control_socket, [b'{"ok": true}\n']):
        assert send_command(state.control_socket, "status") == {"ok": True}


def test_run_hands_the_options_to_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Config] = []

    def start(config: Config, **options: object) -> None:
        del options
        started.append(config)

    monkeypatch.setattr("signerd.daemon.run", start)
    assert run("run", "--state", "here").exit_code == 0
    assert started[0].state_directory == Path("here")


def signerd(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", "from signerd.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_prints_no_traceback(state: StateDirectory) -> None:
    good = signerd("ds", "example.com", "--state", state.path, "--format", "json")
    assert (good.returncode, good.stderr) == (0, "")
    assert len(json.loads(good.stdout)["dsRecords"]) == 2
    bad = signerd("ds", "exmple.com", "--state", state.path)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith("signerd: zone 'exmple.com' is not served here")


def test_output_that_nobody_reads_is_no_crash(state: StateDirectory) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-P", "-c", "from signerd.cli.main import main; main()"]
    process = subprocess.run(
        [*command, "ds", "example.com", "--state", str(state.path)],
        stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (process.returncode, process.stderr) == (1, "")


def test_every_command_has_help() -> None:
    app = make_app()
    assert isinstance(app, typer.Typer)
    for command in (
        "run",
        "status",
        "ds",
        "dump",
        "reload",
        "forget",
        "config check",
        "config show",
        "clock accept",
    ):
        result = run(*command.split(), "--help")
        assert (result.exit_code, "Usage: " in result.stdout) == (0, True)


@pytest.mark.parametrize("arguments", [["-h"], ["run", "-h"], ["config", "check", "-h"]])
def test_help_has_a_short_form(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_a_short_command_loads_nothing_of_the_server() -> None:
    code = (
        "import sys; from signerd.cli.main import make_app; make_app('alarm'); "
        "print({'trio', 'sqlalchemy', 'signerd.daemon'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr
