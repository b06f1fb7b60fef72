"""config/signerd.yaml states every option with its default."""

import re
from pathlib import Path

import yaml
from pydantic import BaseModel

from signerd.config.loader import load_config, parse_config
from signerd.config.options import Config, ZoneOptions
from signerd.config.policy import Policy

EXAMPLE = Path(__file__).parents[3] / "config" / "signerd.yaml"


def list_options(model: type[BaseModel], prefix: str = "") -> set[str]:
    options: set[str] = set()
    for name, field in model.model_fields.items():
        options.add(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            options |= list_options(field.annotation, f"{prefix}{name}.")
    return options


def list_keys(value: object, prefix: str = "") -> set[str]:
    if not isinstance(value, dict):
        return set()
    keys: set[str] = set()
    for key, content in value.items():  # pyright: ignore[reportUnknownVariableType]
        keys |= {f"{prefix}{key}"} | list_keys(content, f"{prefix}{key}.")  # pyright: ignore[reportUnknownArgumentType]
    return keys


def test_it_means_the_embedded_defaults() -> None:
    assert load_config(EXAMPLE) == Config()


def test_it_states_every_option() -> None:
    stated = list_keys(yaml.safe_load(EXAMPLE.read_text()))
    assert list_options(Config) <= stated
    assert {f"policies.default.{name}" for name in Policy.model_fields} <= stated


def test_its_zone_in_comments_is_complete_and_right() -> None:
    lines = EXAMPLE.read_text().splitlines()
    start = lines.index("# zones:")
    example = [line.removeprefix("# ") for line in lines[start : lines.index("", start)]]
    config = parse_config("\n".join(example).encode(), "example")
    assert config.zones[0].name == "example.com."
    assert set(ZoneOptions.model_fields) == set(re.findall(r"(\w+): ", "\n".join(example[1:])))


def test_the_effective_configuration_reads_back() -> None:
    config = parse_config(b"watch_interval: 250ms\npolicies: {p: {signature_validity: 30d}}", "f.yaml")
    members = config.model_dump(mode="json")
    text = yaml.safe_dump(members, sort_keys=False)  # pyright: ignore[reportUnknownMemberType]  # stubs
    assert parse_config(text.encode(), "again") == config
