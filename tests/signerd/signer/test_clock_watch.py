import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.signer.clock_watch import (
    MAX_ABSENCE_SECONDS,
    PROGRAM_EPOCH,
    ClockBounds,
    ClockSuspect,
    ClockWatch,
)

NOW = 1_800_000_000
BOUNDS = ClockBounds(max_jump=300, backward_tolerance=5)


def start(mark: int | None = None) -> ClockWatch:
    """Make a watch that believes the clock at NOW, monotonic 1000."""
    watch = ClockWatch(BOUNDS, mark)
    watch.check(NOW, 1000.0)
    return watch


def test_first_start_believes_any_time_since_the_program_was_written() -> None:
    watch = ClockWatch(BOUNDS, None)
    assert watch.mark is None
    watch.check(PROGRAM_EPOCH, 0.0)
    assert watch.mark == PROGRAM_EPOCH


def test_a_time_before_the_program_was_written_is_refused() -> None:
    watch = ClockWatch(BOUNDS, None)
    with pytest.raises(ClockSuspect, match="before this program"):
        watch.check(PROGRAM_EPOCH - 1, 0.0)
    assert watch.mark is None


def test_the_clock_may_be_behind_the_mark_by_the_tolerance_alone() -> None:
    ClockWatch(BOUNDS, NOW).check(NOW - BOUNDS.backward_tolerance, 0.0)
    with pytest.raises(ClockSuspect, match="backwards: it is 6 s behind"):
        ClockWatch(BOUNDS, NOW).check(NOW - BOUNDS.backward_tolerance - 1, 0.0)


def test_a_start_after_a_long_absence_waits_for_an_operator() -> None:
    ClockWatch(BOUNDS, NOW - MAX_ABSENCE_SECONDS).check(NOW, 0.0)
    watch = ClockWatch(BOUNDS, NOW - MAX_ABSENCE_SECONDS - 1)
    for _ in range(2):  # a refused start is no start
        with pytest.raises(ClockSuspect, match=r"30 days ahead.*clock accept"):
            watch.check(NOW, 0.0)
    assert watch.mark == NOW - MAX_ABSENCE_SECONDS - 1
    watch.accept(NOW, 0.0)
    watch.check(NOW + 60, 60.0)
    assert watch.mark == NOW + 60


def test_a_long_run_is_no_absence() -> None:
    watch = start(NOW)
    year = 365 * 86400
    watch.check(NOW + year, 1000.0 + year)
    assert watch.mark == NOW + year


@pytest.mark.parametrize("jump", [BOUNDS.max_jump + 1, 86400, 40 * 86400])
def test_a_jump_forward_while_running_is_refused_until_it_is_undone(jump: int) -> None:
    watch = start()
    with pytest.raises(ClockSuspect, match=rf"jumped by \+{jump} s"):
        watch.check(NOW + 10 + jump, 1010.0)
    assert watch.mark == NOW
    watch.check(NOW + 20, 1020.0)
    assert watch.mark == NOW + 20


def test_a_jump_backwards_while_running_is_refused() -> None:
    watch = start()
    with pytest.raises(ClockSuspect, match="backwards"):
        watch.check(NOW - 60, 1000.0)
    # Later than the mark, but an hour has passed and the clock shows one minute: it was set back in between.
    with pytest.raises(ClockSuspect, match="jumped by -3540 s"):
        watch.check(NOW + 60, 4600.0)
    assert watch.mark == NOW


def test_jumps_within_bounds_do_not_add_up_unseen() -> None:
    watch = start()
    watch.check(NOW + 200, 1000.0)
    with pytest.raises(ClockSuspect, match=r"jumped by \+400 s"):
        watch.check(NOW + 400, 1000.0)


def test_an_accepted_jump_is_the_new_reckoning() -> None:
    watch = start()
    watch.accept(NOW + 86400, 1000.0)
    watch.check(NOW + 86401, 1001.0)
    with pytest.raises(ClockSuspect):
        watch.check(NOW + 1, 1001.0)


def test_accepting_lowers_the_mark_that_a_wrong_clock_left() -> None:
    watch = ClockWatch(BOUNDS, NOW + 86400)
    with pytest.raises(ClockSuspect):
        watch.check(NOW, 0.0)
    watch.accept(NOW, 0.0)
    assert watch.mark == NOW
    watch.check(NOW + 1, 1.0)


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(0, 1000))))
def test_without_an_operator_the_mark_only_grows(steps: list[tuple[int, int]]) -> None:
    watch = start()
    wall, monotonic = NOW, 1000.0
    for drift, passed in steps:
        before = watch.mark
        assert before is not None
        monotonic += passed
        wall += passed + drift
        try:
            watch.check(wall, monotonic)
        except ClockSuspect:
            assert watch.mark == before
        else:
            assert watch.mark == max(before, wall)
            assert abs(wall - NOW - (monotonic - 1000.0)) <= BOUNDS.max_jump
