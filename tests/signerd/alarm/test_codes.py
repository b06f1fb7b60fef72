"""Codes of alarms and events: the same in the program, in its documentation and for the configuration."""

import re
from pathlib import Path

from signerd.config.alarm_options import EVENT_GROUPS, explain_bad_code

ROOT = Path(__file__).parents[3] / "signerd"
SOURCES = [*(ROOT / "signerd" / "alarm").glob("*.py"), ROOT / "signerd" / "webhook" / "courier.py"]
NOT_DOCUMENTED = {"webhook.test", "webhook.unknown"}  # a test's own, and an error


def list_codes() -> set[str]:
    groups = "|".join(EVENT_GROUPS)
    found = {
        code for source in SOURCES for code in re.findall(rf'"((?:{groups})\.[a-z_]+)"', source.read_text())
    }
    return found - NOT_DOCUMENTED


def list_documented() -> set[str]:
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## Alarms\n") : text.index("## The HTTP API\n")]
    rows = [line for line in section.splitlines() if line.startswith("| `") and "signerd_" not in line]
    codes = {code for row in rows for code in re.findall(r"`([a-z_.]+)`", row.split("|")[1])}
    events = section[section.index("Events that are told once") : section.index("`/metrics`")]
    return codes | set(re.findall(r"`([a-z]+\.[a-z_]+)`", events))


def test_every_code_is_documented_and_no_other() -> None:
    codes = list_codes()
    assert len(codes) > 15
    assert codes == list_documented()


def test_every_code_may_stand_in_the_configuration() -> None:
    assert {code.partition(".")[0] for code in list_codes()} == set(EVENT_GROUPS)
    assert [reason for code in sorted(list_codes()) if (reason := explain_bad_code(code))] == []
