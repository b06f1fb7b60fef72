"""Options of the seals: what opens the KMS at start."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from signerd.config.section import Section, Text, impossible

StatedPath = Annotated[Path, Field(strict=False)]
SealId = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=63)]
VARIABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"


class SealType(StrEnum):
    """The kinds of seals."""

    FILE = "file"
    CREDENTIAL = "credential"
    ENVIRONMENT = "environment"
    PASSPHRASE = "passphrase"  # noqa: S105  # a kind, not a password
    PKCS11 = "pkcs11"


_OPTIONS: Final[Mapping[SealType, tuple[str, ...]]] = {
    SealType.FILE: ("file", "previous_file"),
    SealType.CREDENTIAL: ("name",),
    SealType.ENVIRONMENT: ("variable",),
    SealType.PASSPHRASE: (),
    SealType.PKCS11: ("module", "token", "key", "pin_file", "make_key"),
}
"""Which options each kind has, apart from type and id."""

_NEEDED: Final[Mapping[SealType, tuple[str, ...]]] = {
    SealType.PKCS11: ("module", "token"),
}


class SealOptions(Section):
    """One seal; which options it has depends on its type."""

    type: Annotated[SealType, Field(strict=False)] = SealType.FILE
    id: SealId | None = None  # null: the same as the type
    file: StatedPath | None = None
    previous_file: StatedPath | None = None
    name: Text | None = None
    variable: Annotated[str, Field(pattern=VARIABLE_PATTERN, max_length=255)] | None = None
    module: StatedPath | None = None
    token: Text | None = None
    key: Text | None = None
    pin_file: StatedPath | None = None
    make_key: bool = False

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        for names in _OPTIONS.values():
            problems += [
                ((name,), f"is no option of a seal of type {self.type}")
                for name in names
                if name not in _OPTIONS[self.type] and getattr(self, name) not in (None, False)
            ]
        problems += [
            ((name,), f"must be stated for a seal of type {self.type}")
            for name in _NEEDED.get(self.type, ())
            if getattr(self, name) is None
        ]
        if problems:
            raise impossible(problems)
        return self

    @property
    def seal_id(self) -> str:
        """The name of the seal, stored beside what it wrapped."""
        return self.id or self.type.value


def find_repeated_seals(seals: tuple[SealOptions, ...]) -> list[tuple[tuple[str | int, ...], str]]:
    """Find seals whose names are taken by earlier ones: path of each and the reason."""
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for index, seal in enumerate(seals):
        first = next(number for number, other in enumerate(seals) if other.seal_id == seal.seal_id)
        if first != index:
            problems.append(((index, "id"), f"seal {seal.seal_id} is already listed as seals[{first}]"))
    return problems
