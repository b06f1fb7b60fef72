"""The process is killed before and after everything that a timetable stores or does, once each."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline_world import Killed
from rollover_world import RolloverWorld
from signerd.dns.name import Name
from signerd.dnssec_desk import DnssecDesk
from signerd.rollover import api_timetable, zone_timetable
from signerd.rollover.timetable_record import TimetableRecord, change_record, write_record
from signerd.signer.timetable_keys import KskSource, StoredKey, TimetableKeys
from signerd.timetable.commands import start_rollover
from signerd.timetable.state import RolloverKind
from signerd.timetable.state_record import write_state
from signerd.zone_dnssec.settings import ACTIVE, INCOMING, OUTGOING, RETIRED, DnssecSetting, DnssecState
from signerd_kms.key import KeyType


class Killer:
    """Kills at each place at first before something is done, then after it, and lets it be at last."""

    def __init__(self) -> None:
        self.places = Counter[str]()

    def strike(self, name: Callable[..., str], act: Callable[..., None]) -> Callable[..., None]:
        """Give what does the same and kills."""

        def strike(*arguments: object, **others: object) -> None:
            place = name(*arguments, **others)
            self.places[place] += 1
            if self.places[place] == 1:
                raise Killed
            act(*arguments, **others)
            if self.places[place] == 2:
                raise Killed

        return strike


def describe_record(_engine: object, _zone: object, record: TimetableRecord, *_: object) -> str:
    return "store " + write_state(replace(record.state, moment=None))


def describe_first(*_: object, **__: object) -> str:
    return "make the first keys"


def describe_making(_keys: object, _zone: object, name: str, *_: object) -> str:
    return f"make {name}"


def describe_forgetting(_keys: object, _zone: object, key: StoredKey) -> str:
    return f"forget {key.name}"


def describe_naming(_keys: object, names: Mapping[str, str]) -> str:
    return f"name {sorted(names)}"


@pytest.fixture
def world(tmp_path: Path) -> Generator[RolloverWorld]:
    made = RolloverWorld(tmp_path, policy="zsk_period: never")
    yield made
    made.close()


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    killer = Killer()
    make = TimetableKeys.make
    make_first, forget = TimetableKeys.make_first, TimetableKeys.forget
    name_keys = TimetableKeys.name_keys
    first: list[object] = []

    def begin(keys: TimetableKeys, zone: Name, source: KskSource, *, is_csk: bool) -> None:
        first[:] = [make_first(keys, zone, source, is_csk=is_csk)]

    begin_killing = killer.strike(describe_first, begin)

    def give_first(*arguments: object, **others: object) -> object:
        begin_killing(*arguments, **others)
        return first[0]

    monkeypatch.setattr(zone_timetable, "write_record", killer.strike(describe_record, write_record))
    monkeypatch.setattr(TimetableKeys, "make_first", give_first)
    monkeypatch.setattr(TimetableKeys, "make", killer.strike(describe_making, make))
    monkeypatch.setattr(TimetableKeys, "forget", killer.strike(describe_forgetting, forget))
    monkeypatch.setattr(TimetableKeys, "name_keys", killer.strike(describe_naming, name_keys))
    return killer


def describe_telling(_desk: object, setting: DnssecSetting, *told: object) -> str:
    return f"tell {setting.state} {told}"


@pytest.fixture
def owner_killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    """Kill as with zones of files, and where the owner of a zone is told something."""
    killer = Killer()
    stored: list[bool] = []

    def store(*arguments: Any) -> None:
        stored[:] = [change_record(*arguments)]

    strike_stored = killer.strike(describe_record, store)

    def give_stored(*arguments: object) -> bool:
        strike_stored(*arguments)
        return stored[0]

    monkeypatch.setattr(api_timetable, "change_record", give_stored)
    monkeypatch.setattr(zone_timetable, "write_record", killer.strike(describe_record, write_record))
    acts = ((describe_making, "make"), (describe_forgetting, "forget"), (describe_naming, "name_keys"))
    for describe, name in acts:
        monkeypatch.setattr(TimetableKeys, name, killer.strike(describe, getattr(TimetableKeys, name)))
    for name in ("hand_out", "note_moments", "note_retired", "end"):
        monkeypatch.setattr(DnssecDesk, name, killer.strike(describe_telling, getattr(DnssecDesk, name)))
    return killer


def survive(world: RolloverWorld, act: Callable[[], object]) -> None:
    """Do something again after each kill, as it comes to pass in the end."""
    while True:
        try:
            act()
        except Killed:
            world.restart()
        else:
            return


def run_until(world: RolloverWorld, condition: Callable[[], bool]) -> None:
    survive(world, lambda: world.run_until(condition))


def begin(world: RolloverWorld, kind: RolloverKind) -> None:
    """Let a rollover begin, unless that was stored before the kill."""
    if not any(rollover.kind is kind for rollover in world.list_rollovers()):
        world.timetable.change(
            lambda state, policy, now: start_rollover(state, kind, policy, now),
            world.pipelines.pipeline.state.published,
        )


def test_a_kill_anywhere_loses_nothing_and_does_nothing_twice(world: RolloverWorld, killer: Killer) -> None:
    survive(world, world.work)
    run_until(world, lambda: "the parent has no DS record of ksk-1 yet" in world.outcome.sentence)
    world.give_ds("ksk-1")
    run_until(world, lambda: "nothing is due" in world.outcome.sentence)
    survive(world, lambda: begin(world, RolloverKind.KSK))
    survive(world, lambda: begin(world, RolloverKind.ZSK))
    run_until(world, lambda: "add the DS record of ksk-3" in world.outcome.sentence)
    world.give_ds("ksk-3")
    run_until(world, lambda: not world.list_rollovers())
    assert world.names == ["ksk-3", "zsk-4"]
    assert world.list_served() == {"ksk-3", "zsk-4"}
    assert world.count_signers() == 1
    kms, scope = world.pipelines.custody.kms, world.pipelines.scope
    assert [key.name for key in kms.list_keys(scope)] == ["DNSSEC small.test", "DNSSEC small.test 2"]
    assert {place.partition(" ")[0] for place in killer.places} == {"make", "name", "store", "forget"}
    assert len(killer.places) > 20
    assert min(killer.places.values()) >= 2


def test_a_kill_anywhere_leaves_the_owner_of_a_zone_told_all(tmp_path: Path, owner_killer: Killer) -> None:
    world = RolloverWorld(tmp_path, policy="zsk_period: never", is_of_api=True)

    def list_states() -> list[str]:
        return sorted(key.state for key in world.management.show(world.place).keys)

    def obey() -> None:
        setting = world.setting
        if not setting.state.is_enabled:
            world.give_ds()
        elif setting.ds_not_before is not None and setting.ds_not_before <= world.now:
            points = [key for key in world.list_keys() if key.role.signs_keys]
            world.give_ds(*(key.name or "" for key in points if key.state == ACTIVE))

    def is_settled() -> bool:
        obey()
        points = [key for key in world.outcome.state.keys if key.role.signs_keys]
        return (
            not world.list_rollovers()
            and {INCOMING, OUTGOING}.isdisjoint(list_states())
            and all(key.ds.is_everywhere for key in points)
        )

    def is_off() -> bool:
        obey()
        return world.setting.state is DnssecState.OFF

    try:
        world.enable()
        run_until(world, is_settled)
        survive(world, lambda: begin(world, RolloverKind.KSK))
        run_until(world, is_settled)
        assert list_states() == [ACTIVE, RETIRED]
        world.enable(world.make_key("another", KeyType.ECDSA_P384))
        run_until(world, is_settled)
        assert list_states() == [ACTIVE, RETIRED, RETIRED]
        assert len(world.list_served()) == 2
        assert world.count_signers() == 1
        world.disable()
        run_until(world, is_off)
    finally:
        world.close()
    kinds = {place.partition(" ")[0] for place in owner_killer.places}
    assert kinds == {"make", "name", "store", "forget", "tell"}
    assert len(owner_killer.places) > 30
