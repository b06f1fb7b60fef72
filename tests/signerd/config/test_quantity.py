import pytest
from hypothesis import given
from hypothesis import strategies as st

from signerd.config.quantity import (
    MAX_SECONDS,
    format_duration,
    parse_duration,
    parse_interval,
    parse_listen_address,
    parse_size,
)
from signerd.control.listen_address import ListenAddress


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("14d", 1209600), ("1h30m", 5400), ("90s", 90), ("3600", 3600), (7200, 7200), ("2w1s", 1209601), (0, 0)],
)
def test_durations_are_read_in_units_or_seconds(written: str | int, seconds: int) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "",
        "d",
        "1x",
        "30m1h",
        "1h1h",
        "-1",
        -5,
        True,
        None,
        1.5,
        "1h 30m",
        "\u0661d",
        "9" * 5000,
        2**31,
        "99999w",
    ],
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"duration|range|largest first"):
        parse_duration(written)


@given(st.integers(0, MAX_SECONDS))
def test_a_printed_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(("written", "seconds"), [("200ms", 0.2), (0.5, 0.5), ("1s", 1.0), (2, 2.0)])
def test_intervals_may_be_shorter_than_a_second(written: object, seconds: float) -> None:
    assert parse_interval(written) == seconds


@pytest.mark.parametrize("written", [float("nan"), float("inf"), -0.1, "ms", "1.5ms", "1.5"])
def test_what_is_no_interval_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"duration|range"):
        parse_interval(written)


@pytest.mark.parametrize(
    ("written", "octets"),
    [(5, 5), ("6", 6), ("64k", 65536), ("64 MiB", 1 << 26), ("1G", 1 << 30), ("2KB", 2048)],
)
def test_sizes_are_read_with_powers_of_1024(written: object, octets: int) -> None:
    assert parse_size(written) == octets


@pytest.mark.parametrize("written", [-1, True, "k", "1T", "1.5M", None, "9" * 50])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(written)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1@5300", ListenAddress("127.0.0.1", 5300)),
        ("::1@0", ListenAddress("::1", 0)),
        ("2001:DB8:0::1@53", ListenAddress("2001:db8::1", 53)),
    ],
)
def test_addresses_are_numeric_with_a_port(written: str, address: ListenAddress) -> None:
    assert parse_listen_address(written) == address


@pytest.mark.parametrize(
    "written", ["localhost@53", "127.0.0.1", "127.0.0.1@", "::1@65536", "@53", 53, "1.2.3.4@-1"]
)
def test_what_is_no_address_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"address|port"):
        parse_listen_address(written)
