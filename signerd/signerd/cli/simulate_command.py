"""`signerd simulate`: years of key changes in a second, with all that may go wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from signerd.cli.command_errors import FAILED, CommandFailed, explain_errors
from signerd.cli.config_option import ConfigOption, read_config
from signerd.cli.moment_argument import read_moment, read_span, split_at
from signerd.config.options import DEFAULT_POLICY, explain_unknown_policy
from signerd.config.policy import Policy
from signerd.config.signature_times import ImpossiblePolicy, resolve_times
from signerd.dnssec.algorithm import KEY_TYPE_ALGORITHMS
from signerd.dnssec.policy import SigningPolicy
from signerd.rollover.timetable_policy import make_timetable_policy
from signerd.simulation.parent import ParentHabits
from signerd.simulation.resolver import Failure, find_failures
from signerd.simulation.scenario import Deed, PolicyChange, Scenario, StartCommand, Trouble, TroubleKind
from signerd.simulation.simulator import Run, simulate
from signerd.simulation.timeline_svg import draw_timeline
from signerd.timetable.explanation import format_moment
from signerd.timetable.policy import DenialKind, Mode, Step, TimetablePolicy
from signerd.timetable.state import RolloverKind

_PARENT_INTERVAL: Final = 3600  # what the model parent does is seen at once in any case
_LATE_SERVER: Final = 1800  # by how much the last server of the model parent is later than the first, seconds


class ChangeKind(StrEnum):
    """What `--change` may change."""

    INSECURE = "insecure"
    SECURE = "secure"
    NO_DS = "no-ds"
    DS = "ds"
    CSK = "csk"
    TWO_KEYS = "two-keys"
    NSEC = "nsec"
    NSEC3 = "nsec3"


def add_simulate(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate")(explain_errors(simulate_keys))


def simulate_keys(
    until: Annotated[str, typer.Option(metavar="WHEN", help="End: a date, or +3y from the start.")] = "+3y",
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="Start; today without it.")
    ] = None,
    outage: Annotated[
        list[str] | None,
        typer.Option(metavar="WHAT:SPAN@WHEN", help="signer:9d@2027-02-01; WHAT: signer, kms or parent."),
    ] = None,
    kms_loss: Annotated[
        list[str] | None, typer.Option(metavar="SPAN@WHEN", help="The same as --outage kms:SPAN@WHEN.")
    ] = None,
    parent_delay: Annotated[
        str, typer.Option(metavar="SPAN", help="From a request until the parent changes the DS set.")
    ] = "1d",
    zsk_period: Annotated[str | None, typer.Option(metavar="SPAN", help="Age of a ZSK; 0 for never.")] = None,
    ksk_period: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Age of a KSK or CSK; 0 for never.")
    ] = None,
    csk: Annotated[bool, typer.Option("--csk", help="One key for all.")] = False,
    rollover: Annotated[
        list[str] | None, typer.Option(metavar="KIND@WHEN", help="Start one: zsk, ksk or csk.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT@WHEN",
            help="Change the policy: a key type such as ecdsa-p384, csk, two-keys, nsec, nsec3, no-ds, ds, "
            "insecure or secure.",
        ),
    ] = None,
    ask: Annotated[
        list[Step] | None, typer.Option(metavar="STEP", help="A step that waits for approval.")
    ] = None,
    largest_ttl: Annotated[str, typer.Option(metavar="SPAN", help="Of the zone's data.")] = "1d",
    ds_ttl: Annotated[str, typer.Option(metavar="SPAN", help="Of DS records at the parent.")] = "1d",
    soa_expire: Annotated[str, typer.Option(metavar="SPAN", help="Of the zone.")] = "7d",
    policy: Annotated[
        str, typer.Option(metavar="NAME", help="Of the configuration; what no other option says is as in it.")
    ] = DEFAULT_POLICY,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw keys, signatures and DS.")] = None,
    config: ConfigOption = None,
) -> None:
    """Show what the key timetable will do over years, and when a person must act.

    Who is asked to approve a step, or to accept the clock after a long outage, does so after a day. Runs the
    real timetable and the real schedule of signatures over a model zone. A model resolver then looks for
    moments at which some cache cannot validate; if there are any, the exit status is 1.
    """
    begin = read_moment(start or datetime.now(UTC).strftime("%Y-%m-%d"), 0)
    end = read_moment(until, begin)
    if end <= begin:
        raise CommandFailed("the end must be after the start")
    configured = _find_policy(read_config(config, None).policies, policy)
    ttl = read_span(largest_ttl)
    signing = _make_signing_policy(configured, read_span(soa_expire), ttl)
    if Step.CONFIRM in (ask or ()):
        raise CommandFailed("--ask confirm: nothing is done in this step; say it of 'withdraw'")
    wanted = make_timetable_policy(configured, _PARENT_INTERVAL)
    wanted = replace(
        wanted,
        signature_life=signing.validity_seconds - signing.refresh_margin_seconds,
        is_csk=csk or wanted.is_csk,
        zsk_period=wanted.zsk_period if zsk_period is None else read_span(zsk_period) or None,
        ksk_period=wanted.ksk_period if ksk_period is None else read_span(ksk_period) or None,
        modes={**wanted.modes, **dict.fromkeys(ask or (), Mode.ASK)},
    )
    delay = read_span(parent_delay)
    scenario = Scenario(
        begin,
        end,
        wanted,
        signing,
        ParentHabits(
            lambda _: delay,
            (0, min(_LATE_SERVER, wanted.parent_lag)),
            wanted.parent_propagation,
            read_span(ds_ttl),
        ),
        tuple(_read_troubles(outage or (), kms_loss or (), begin, end)),
        tuple(_read_deeds(rollover or (), change or (), wanted, begin, end)),
        dnskey_ttl=configured.dnskey_ttl,
        largest_ttl=ttl,
        secondary_lag=wanted.propagation,
    )
    run = simulate(scenario)
    failures = find_failures(run.history)
    _print_run(run, failures)
    if svg is not None:
        svg.write_text(draw_timeline(run, failures, title="Keys of the zone over time"), encoding="utf-8")
    if failures:
        raise typer.Exit(FAILED)


def _find_policy(policies: Mapping[str, Policy], name: str) -> Policy:
    reason = explain_unknown_policy(name, policies)
    if reason is not None:
        raise CommandFailed(reason)
    return policies[name]


def _make_signing_policy(policy: Policy, soa_expire: int, largest_ttl: int) -> SigningPolicy:
    try:
        times = resolve_times(policy, soa_expire, largest_ttl)
    except ImpossiblePolicy as error:
        raise CommandFailed(str(error)) from error
    return SigningPolicy(
        times.validity, times.refresh_margin, times.inception_offset, dnskey_ttl=policy.dnskey_ttl
    )


def _read_troubles(
    outages: Sequence[str], kms_losses: Sequence[str], start: int, end: int
) -> Iterator[Trouble]:
    for text in outages:
        what, moment = split_at(text, "signer:9d@2027-02-01")
        name, colon, span = what.partition(":")
        if not colon:
            raise CommandFailed(f"'{text}' is not of the form signer:9d@2027-02-01")
        if name not in (TroubleKind.SIGNER, TroubleKind.KMS, TroubleKind.PARENT):
            raise CommandFailed(f"'{name}' cannot fail here; write signer, kms or parent")
        yield _make_trouble(TroubleKind(name), span, _read_moment_within(moment, start, end))
    for text in kms_losses:
        span, moment = split_at(text, "5d@2027-02-01")
        yield _make_trouble(TroubleKind.KMS, span, _read_moment_within(moment, start, end))


def _make_trouble(kind: TroubleKind, span: str, begin: int) -> Trouble:
    return Trouble(kind, begin, begin + read_span(span))


def _read_moment_within(text: str, start: int, end: int) -> int:
    moment = read_moment(text, start)
    if moment >= end:
        raise CommandFailed(f"'{text}' is not before the end of the simulation; see --until")
    return moment


def _read_deeds(
    rollovers: Sequence[str], changes: Sequence[str], policy: TimetablePolicy, start: int, end: int
) -> Iterator[tuple[int, Deed]]:
    for text in rollovers:
        what, moment = split_at(text, "ksk@2027-02-01")
        if what not in (RolloverKind.ZSK, RolloverKind.KSK, RolloverKind.CSK):
            raise CommandFailed(f"'{what}' is no kind of rollover to start; write zsk, ksk or csk")
        yield _read_moment_within(moment, start, end), StartCommand(RolloverKind(what))
    dated: list[tuple[int, str]] = []
    for text in changes:
        what, moment = split_at(text, "ecdsa-p384@2027-02-01")
        dated.append((_read_moment_within(moment, start, end), what))
    for at, what in sorted(dated):
        policy = _change_policy(policy, what)
        yield at, PolicyChange(policy)


def _change_policy(policy: TimetablePolicy, what: str) -> TimetablePolicy:
    if what in KEY_TYPE_ALGORITHMS:
        return replace(policy, algorithm=KEY_TYPE_ALGORITHMS[what])
    if what in (ChangeKind.INSECURE, ChangeKind.SECURE):
        return replace(policy, is_signed=what == ChangeKind.SECURE)
    if what in (ChangeKind.DS, ChangeKind.NO_DS):
        return replace(policy, has_parent=what == ChangeKind.DS, is_ds_unwanted=what == ChangeKind.NO_DS)
    if what in (ChangeKind.CSK, ChangeKind.TWO_KEYS):
        return replace(policy, is_csk=what == ChangeKind.CSK)
    if what in (ChangeKind.NSEC, ChangeKind.NSEC3):
        return replace(policy, denial=DenialKind(what))
    known = ", ".join([*KEY_TYPE_ALGORITHMS, *ChangeKind])
    raise CommandFailed(f"'{what}' cannot be changed to; write one of {known}")


def _print_run(run: Run, failures: Sequence[Failure]) -> None:
    for event in run.history.events:
        mark = "PERSON" if event.is_for_person else "      "
        typer.echo(f"{format_moment(event.at)}  {mark}  {event.text}")
    people = sum(event.is_for_person for event in run.history.events)
    typer.echo(f"At the end: {run.last.sentence}")
    typer.echo(f"A person had to act {people} time{'' if people == 1 else 's'}.")
    for failure in failures:
        typer.echo(
            f"FAILURE from {format_moment(failure.start)} to {format_moment(failure.end)}: {failure.reason}"
        )
    if not failures:
        typer.echo("No resolver, whatever was in its cache, failed to validate.")
