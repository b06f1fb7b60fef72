from pathlib import Path

import pytest
import yaml

from signerd.config.loader import parse_config
from signerd.config.options import Config
from signerd.config.problem import BadConfig
from signerd.seal_factory import make_seals

EXAMPLE = Path(__file__).parents[3] / "config" / "signerd.yaml"


def explain(text: str) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        parse_config(text.encode(), "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_without_a_word_there_is_one_seal_and_its_key_is_in_the_state_directory() -> None:
    (seal,) = make_seals(Config(state_directory=Path("s")), {})
    assert (seal.kind, seal.seal_id) == ("file", "file")


def test_seals_are_made_in_the_order_of_the_file() -> None:
    text = (
        "seals:\n  - type: pkcs11\n    module: /m.so\n    token: t\n    pin_file: pin\n"
        "  - type: credential\n  - {type: environment, variable: ROOT}\n"
        "  - {type: passphrase, id: break-glass}\n  - type: file\n"
    )
    environment = {"ROOT": "x", "HOME": "/"}
    seals = make_seals(parse_config(text.encode(), "f.yaml"), environment)
    assert [(seal.kind, seal.seal_id) for seal in seals] == [
        ("pkcs11", "pkcs11"),
        ("credential", "credential"),
        ("environment", "environment"),
        ("passphrase", "break-glass"),
        ("file", "file"),
    ]
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seals:\n  - type: fiel\n", "f.yaml:2: seals[0].type: 'fiel' is not one of"),
        (
            "seals:\n  - type: passphrase\n    file: x\n",
            "f.yaml:3: seals[0].file: is no option of a seal of type passphrase",
        ),
        (
            "seals:\n  - type: pkcs11\n    module: /m.so\n",
            "f.yaml:2: seals[0].token: must be stated for a seal of type pkcs11",
        ),
        (
            "seals:\n  - type: file\n  - type: file\n    file: other\n",
            "f.yaml:3: seals[1].id: seal file is already listed as seals[0]",
        ),
        ("seals:\n  - type: file\n    fiel: x\n", "f.yaml:3: seals[0].fiel: unknown option"),
        ("seals:\n  - type: file\n    id: A B\n", "f.yaml:3: seals[0].id: 'A B' is no slug"),
        (
            "seals:\n  - type: environment\n    variable: A=B\n",
            "f.yaml:3: seals[0].variable: 'A=B' is no name of an environment variable",
        ),
        ("seal:\n  file: x\n", "f.yaml:1: seal: is no option any more"),
        ("seals: []\n", "f.yaml:1: seals:"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in explain(text)), explain(text)


def test_the_seals_in_comments_are_complete_and_right() -> None:
    lines = EXAMPLE.read_text().splitlines()
    start = lines.index("seals:")
    example = [line.replace("#  ", "  ", 1) for line in lines[start : lines.index("", start)]]
    config = parse_config("\n".join(example).encode(), "example")
    assert [seal.type.value for seal in config.seals] == [
        "file",
        "credential",
        "environment",
        "passphrase",
        "pkcs11",
    ]
    stated = {name for seal in yaml.safe_load("\n".join(example))["seals"] for name in seal}
    assert stated == set(type(config.seals[0]).model_fields)
