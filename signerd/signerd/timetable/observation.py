"""Takes what is observed into the state: what was seen to happen starts the waits, and time ends them."""

from dataclasses import replace

from signerd.timetable.facts import Facts
from signerd.timetable.policy import DAY, TimetablePolicy
from signerd.timetable.presence import NEVER_THERE, Presence, Trace
from signerd.timetable.state import Moment, TimetableKey, TimetableState

STEP_TOLERANCE = 2  # seconds by which clocks may differ without having been set
UNSEEN_DS_TTL = (
    DAY  # of DS records that nobody has seen, if there were some: usual, and at most so in most zones
)


def notice_clock(state: TimetableState, moment: Moment) -> tuple[TimetableState, int]:
    """Notice that the wall clock was set, and move the waits with it.

    While the machine runs, the monotonic clock says how much time has really passed. After a restart only a
    clock that went backwards can be noticed.

    Returns:
        The state, and by how many seconds the clock was set; 0 if it was not.
    """
    last = state.moment
    if last is None:
        return replace(state, moment=moment), 0
    if last.boot == moment.boot:
        jump = round(moment.wall - last.wall - (moment.monotonic - last.monotonic))
        jump = 0 if abs(jump) <= STEP_TOLERANCE else jump
    else:
        jump = min(0, moment.wall - last.wall)
    if jump:
        state = state.change_traces(lambda trace: trace.shift(jump))
        state = replace(
            state,
            dnskey_ttl=state.dnskey_ttl.shift(jump),
            largest_ttl=state.largest_ttl.shift(jump),
            ds_ttl=state.ds_ttl.shift(jump),
        )
    return replace(state, moment=moment), jump


def observe(state: TimetableState, facts: Facts, policy: TimetablePolicy, now: int) -> TimetableState:
    """Take in what is published and what the parent says, then let the waits end that are over."""
    state = replace(
        state,
        dnskey_ttl=state.dnskey_ttl.observe(facts.dnskey_ttl, now, policy.propagation),
        largest_ttl=state.largest_ttl.observe(facts.largest_ttl, now, policy.propagation),
        ds_ttl=state.ds_ttl
        if facts.ds_ttl is None
        else state.ds_ttl.observe(facts.ds_ttl, now, policy.parent_propagation),
    )
    keys_agree = state.dnskey_ttl.find_settling(now, policy.propagation)
    data_agrees = state.largest_ttl.find_settling(now, policy.propagation)
    ds_agree = state.ds_ttl.find_settling(now, policy.parent_propagation)

    state = _bring_back_keys(state, facts, now)

    def look(key: TimetableKey) -> TimetableKey:
        if key.made_at is None and key.name in facts.usable:
            key = replace(key, made_at=now)
        return key.update(
            dnskey=key.dnskey.observe(is_there=key.name in facts.published, settles_at=keys_agree),
            data=key.data.observe(is_there=key.name in facts.signing, settles_at=data_agrees),
            ds=_observe_ds(key, facts, policy, ds_agree, now) if key.role.signs_keys else key.ds,
        )

    state = replace(
        state,
        keys=tuple(look(key) for key in state.keys),
        coverage={
            number: trace.observe(is_there=number in facts.covering, settles_at=data_agrees)
            for number, trace in state.coverage.items()
        },
    )
    return state.change_traces(lambda trace: trace.settle(now))


def _bring_back_keys(state: TimetableState, facts: Facts, now: int) -> TimetableState:
    """Publish keys again of which the parent has a DS record although they are being withdrawn.

    Those that are withdrawn together come back together: as long as all data has their signatures, or with
    these if nothing else signs the zone.
    """
    for rollover in state.rollovers:
        going = state.select(rollover.outgoing)
        pointed_to = [key for key in going if not key.dnskey.is_wanted and facts.is_ds_seen(key.name)]
        if not pointed_to:
            continue
        algorithms = {key.algorithm for key in going}
        if not rollover.incoming:
            signers = [key.name for key in going if key.role.signs_data]
            state = state.change_coverage(algorithms, lambda trace: trace.appear(now)).change_keys(
                signers, lambda key: replace(key, data=key.data.appear(now))
            )
        elif any(key.dnskey.is_gone for key in pointed_to) or not all(
            state.coverage.get(number, NEVER_THERE).is_everywhere for number in algorithms
        ):
            continue
        state = state.change_keys(rollover.outgoing, lambda key: replace(key, dnskey=key.dnskey.appear(now)))
    return state


def _observe_ds(key: TimetableKey, facts: Facts, policy: TimetablePolicy, settles_at: int, now: int) -> Trace:
    trace = key.ds
    if facts.is_parentless and policy.is_ds_unwanted and trace.presence is Presence.UNRETENTIVE:
        # Nobody can be asked, and nobody ever had one: the operator says that there is none. Should one be
        # seen meanwhile, the wait begins anew.
        return trace.observe(is_there=False, settles_at=max(settles_at, now + UNSEEN_DS_TTL))
    if trace.is_gone and facts.is_ds_seen(key.name):
        # Nobody was asked for it, but there it is. It is to go again unless it leads to something.
        trace = Trace(Presence.RUMOURED if key.dnskey.is_wanted else Presence.UNRETENTIVE, now)
    if trace.is_everywhere and any(
        server.ds is not None and key.name not in server.ds for server in facts.parent
    ):
        trace = Trace(Presence.RUMOURED, now)  # somebody took it away
    is_coming = trace.presence is Presence.RUMOURED
    is_against = any(
        server.ds is not None and (key.name in server.ds) is not is_coming for server in facts.parent
    )
    is_confirmed = facts.is_ds_everywhere(key.name) if is_coming else facts.is_ds_nowhere(key.name)
    if trace.presence is Presence.UNRETENTIVE and key.name in facts.announced:
        # What is served asks for it still, as no version could be signed since. Who reads that now may act on
        # it for as long as on a request that was taken back.
        is_open = bool(trace.not_before) or is_confirmed
        floor = now + policy.parent_lag if is_open else 0
        return replace(trace, settles_at=None, not_before=max(trace.not_before, floor))
    if not is_against and not is_confirmed:
        return trace  # a server that is silent confirms nothing, and takes back nothing
    return trace.observe(is_there=is_coming is is_confirmed, settles_at=settles_at)
