"""Lives of zones at random, with the real keys, database, pipeline and validator.

Whatever happens in whatever order: no resolver fails, nothing crashes, and all comes to rest in the end.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollover_life import DAY, HOUR, LifeZone, Options, RolloverLife
from signerd.timetable.policy import Step
from signerd.timetable.state import RolloverKind
from signerd_kms.errors import KmsError
from signerd_kms.key import KeyType

EXAMPLES = int(os.environ.get("SIGNERD_LIVES", "40"))  # in a night, thousands
_BOTH: Final = (0, 1)


@dataclass(frozen=True)
class Happening:
    """Something that happens to a zone, or to all.

    Attributes:
        act: One of the functions below.
        zone: Number of the zone.
        options: Of that function.
        kill_at: The process is killed at this point of what is stored and done; 0 for none.
        lock_at: The database is locked for the transaction of this number; 0 for none.
    """

    act: Callable[..., None]
    zone: int
    options: Mapping[str, object]
    kill_at: int = 0
    lock_at: int = 0

    def __repr__(self) -> str:
        return (
            f"Happening({self.act.__name__}, {self.zone}, {dict(self.options)!r}, "
            f"kill_at={self.kill_at}, lock_at={self.lock_at})"
        )

    def happen(self, life: RolloverLife) -> None:
        """Let it happen."""
        self.act(life, life.zones[self.zone % len(life.zones)], **self.options)


def pass_time(life: RolloverLife, zone: LifeZone, seconds: int) -> None:
    life.pass_time(seconds)


def obey(life: RolloverLife, zone: LifeZone, delay: int, lags: tuple[int, int]) -> None:
    """The parent will do what it is asked for then, each of its servers some time later."""
    zone.requests.append((life.clock.true + delay, lags))
    life.settle()


def drop(life: RolloverLife, zone: LifeZone, servers: tuple[int, ...]) -> None:
    """The parent has no DS any more."""
    life.show_now(zone, servers, frozenset())
    life.settle()


def bring_back(life: RolloverLife, zone: LifeZone, servers: tuple[int, ...]) -> None:
    """The parent has all DS that may still be there, old and new."""
    if life.is_clock_believed and not life.is_sealed:
        life.show_now(zone, servers, life.find_former(zone))
    life.settle()


def blunder(life: RolloverLife, zone: LifeZone, servers: tuple[int, ...]) -> None:
    """Somebody puts DS records of all keys that there are at the parent, also of those that come or go."""
    life.are_failures_excused = True  # of which nobody may have asked for one: resolvers fail at once
    life.show_now(zone, servers, frozenset(key.dnskey for key in life.list_ksks(zone)))
    life.settle()


def follow(life: RolloverLife, zone: LifeZone, does: bool) -> None:
    zone.is_following = does


def answer(life: RolloverLife, zone: LifeZone, server: int, how: str) -> None:
    """A server of the parent, or the way to it, behaves in another way."""
    zone.is_parent_known = how != "unknown"
    chosen = zone.servers[server]
    chosen.is_silent, chosen.is_stale = how == "silent", how == "stale"
    chosen.has_stranger = how == "stranger"
    zone.probe_at = life.clock.now()
    life.settle()


def start(life: RolloverLife, zone: LifeZone, kind: RolloverKind) -> None:
    life.command("start", zone, kind)
    life.settle()


def approve(life: RolloverLife, zone: LifeZone, step: Step | None) -> None:
    state = life.read_state(zone)
    for rollover in () if state is None else state.rollovers:
        life.command("approve", zone, rollover.number, step)
    life.settle()


def abort(life: RolloverLife, zone: LifeZone, which: int) -> None:
    state = life.read_state(zone)
    for rollover in () if state is None else state.rollovers[which:][:1]:
        life.command("abort", zone, rollover.number)
    life.settle()


def change_policy(life: RolloverLife, zone: LifeZone, options: Options) -> None:
    life.policies[zone.text].update(options)
    life.restart()
    life.settle()


def name_key(life: RolloverLife, zone: LifeZone, name: str, key_type: KeyType) -> None:
    with suppress(KmsError):
        life.name_key(zone, name, key_type)
    life.settle()


def write(life: RolloverLife, zone: LifeZone, ttl: int) -> None:
    zone.ttl, zone.version = ttl, zone.version + 1
    zone.write()
    life.settle()


def seal(life: RolloverLife, zone: LifeZone) -> None:
    life.seal()
    life.settle()


def unseal(life: RolloverLife, zone: LifeZone) -> None:
    if life.is_sealed:
        life.unseal()
    life.settle()


def disable(life: RolloverLife, zone: LifeZone, number: int) -> None:
    with suppress(KmsError):  # the database was locked
        life.disable(number)
    life.settle()


def enable(life: RolloverLife, zone: LifeZone) -> None:
    with suppress(KmsError):  # the database was locked
        life.enable()
    life.settle()


def restart(life: RolloverLife, zone: LifeZone, is_reboot: bool) -> None:
    life.restart(is_reboot=is_reboot)
    life.settle()


def be_away(life: RolloverLife, zone: LifeZone, seconds: int) -> None:
    life.be_away(seconds)


def step_clock(life: RolloverLife, zone: LifeZone, seconds: int) -> None:
    life.is_excused = True
    life.clock.step(seconds)
    life.settle()


def accept_clock(life: RolloverLife, zone: LifeZone) -> None:
    life.accept_clock()
    life.settle()


def happen(act: Callable[..., None], **options: st.SearchStrategy[object]) -> st.SearchStrategy[Happening]:
    """Give that something happens; seldom while the process is killed or the database locked."""
    points = st.one_of(st.just(0), st.just(0), st.just(0), st.integers(1, 40))
    locks = st.one_of(st.just(0), st.just(0), st.just(0), st.integers(1, 12))
    return st.builds(
        Happening, st.just(act), st.integers(0, 2), st.fixed_dictionaries(options), points, locks
    )


servers = st.sampled_from([(0,), (1,), _BOTH])
modes = st.dictionaries(
    st.sampled_from([step.value for step in Step if step is not Step.CONFIRM]),
    st.sampled_from(["ask", "hold"]),
    max_size=2,
)
options = st.one_of(
    st.fixed_dictionaries({"csk": st.booleans()}),
    st.fixed_dictionaries({"key_type": st.sampled_from(["ecdsa-p256", "ecdsa-p384"])}),
    st.fixed_dictionaries({"denial": st.sampled_from(["nsec", "nsec3"])}),
    st.fixed_dictionaries({"signed": st.booleans()}),
    st.fixed_dictionaries({"signed": st.booleans()}),
    st.fixed_dictionaries({"parent_ds": st.booleans()}),
    st.fixed_dictionaries({"cds": st.sampled_from(["always", "never", "rollover"])}),
    st.fixed_dictionaries({"steps": modes}),
    st.fixed_dictionaries({"zsk_period": st.sampled_from(["never", "20d"])}),
    st.fixed_dictionaries({"ksk_period": st.sampled_from(["never", "30d"])}),
    st.fixed_dictionaries({"ksk_rollover": st.sampled_from(["new-key", "new-version"])}),
    st.fixed_dictionaries({"dnskey_ttl": st.sampled_from(["60s", "1h", "2d"])}),
)
short = st.sampled_from([1, 60, 300, HOUR, HOUR + 1, 2 * HOUR, 2 * HOUR + 1, 9 * HOUR])
long = st.sampled_from([DAY, 3 * DAY, 7 * DAY + HOUR, 12 * DAY, 40 * DAY])
lags = st.sampled_from([(0, 0), (0, 0), (0, 600), (6 * DAY, 0), (0, 7 * DAY)])
delays = st.sampled_from([0, 0, HOUR, 3 * DAY, 20 * DAY])
kinds = st.sampled_from([RolloverKind.ZSK, RolloverKind.KSK, RolloverKind.KSK, RolloverKind.CSK])
ways = st.sampled_from(["silent", "stale", "stranger", "unknown", "honest", "honest"])
_MAIN: Final = (
    happen(pass_time, seconds=st.one_of(short, long)),
    happen(pass_time, seconds=long),
    happen(obey, delay=delays, lags=lags),
    happen(start, kind=kinds),
    happen(change_policy, options=options),
)
happenings = (
    happen(pass_time, seconds=short),
    happen(pass_time, seconds=st.one_of(short, long)),
    happen(pass_time, seconds=long),
    happen(obey, delay=delays, lags=lags),
    happen(obey, delay=delays, lags=lags),
    happen(start, kind=kinds),
    happen(start, kind=kinds),
    happen(approve, step=st.one_of(st.none(), st.sampled_from(Step))),
    happen(abort, which=st.integers(0, 1)),
    happen(change_policy, options=options),
    happen(change_policy, options=options),
    happen(
        name_key,
        name=st.sampled_from(["mine", "yours"]),
        key_type=st.sampled_from([KeyType.ECDSA_P256, KeyType.ECDSA_P384]),
    ),
    happen(write, ttl=st.sampled_from([60, 600, DAY, 3 * DAY])),
    happen(drop, servers=servers),
    happen(bring_back, servers=servers),
    happen(blunder, servers=servers),
    happen(follow, does=st.booleans()),
    happen(answer, server=st.sampled_from(_BOTH), how=ways),
    happen(seal),
    happen(unseal),
    happen(disable, number=st.integers(0, 9)),
    happen(enable),
    happen(restart, is_reboot=st.booleans()),
    happen(be_away, seconds=st.one_of(short, long)),
    happen(step_clock, seconds=st.sampled_from([-3 * DAY, -600, -2, 2, 900, 5 * DAY])),
    happen(accept_clock),
)


@st.composite
def stories(draw: st.DrawFn) -> list[Happening]:
    """Give what happens: of some kinds often, of others never."""
    numbers = draw(st.lists(st.integers(0, len(happenings) - 1), min_size=4, max_size=10))
    chosen = [*_MAIN, *(happenings[number] for number in numbers)]
    return draw(st.lists(st.one_of(*chosen), max_size=24))


def run(life: RolloverLife, story: list[Happening]) -> None:
    """Let all happen, look after each, and put all right in the end."""
    for happening in story:
        with life.live(kill_at=happening.kill_at, lock_at=happening.lock_at):
            happening.happen(life)
        life.check()
    life.come_to_rest({"zsk_period": "never"})
    life.check()
    life.check_rest()


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    st.sampled_from([1, 1, 1, 2, 3]),
    st.booleans(),
    st.one_of(st.just(0), st.integers(1, 40)),
    st.one_of(st.just(0), st.integers(1, 12)),
    stories(),
)
def test_no_zone_fails_and_all_come_to_rest(
    count: int, is_settled: bool, kill_at: int, lock_at: int, story: list[Happening]
) -> None:
    policy = {"zsk_period": "never"}
    life = RolloverLife(count, policy, is_settled=is_settled, kill_at=kill_at, lock_at=lock_at)
    try:
        run(life, story)
    finally:
        life.remove()
