import os
import pickle
import subprocess
import sys

import pytest

from signerd_kms.errors import UnwrapFailed
from signerd_kms.memory import lock, wipe
from signerd_kms.wrapping import LiveKey, WrappedKey, unwrap, wrap


def fresh(octets: bytes) -> bytes:
    return bytes(bytearray(octets))


def test_unwrap_undoes_wrap() -> None:
    with LiveKey(os.urandom(32)) as wrapping:
        wrapped = wrap(wrapping, b"sixteen octets!!", b"policy")
        with unwrap(wrapping, wrapped, b"policy") as live:
            assert live.octets == b"sixteen octets!!"


def test_other_associated_data_key_suite_or_check_value_does_not_open() -> None:
    with LiveKey(os.urandom(32)) as wrapping, LiveKey(os.urandom(32)) as other:
        wrapped = wrap(wrapping, b"sixteen octets!!", b"policy")
        suite = WrappedKey(b"\x02" + wrapped.octets[1:], wrapped.key_check)
        check = WrappedKey(wrapped.octets, bytes(16))
        empty = WrappedKey(b"", wrapped.key_check)
        for key, value, policy in (
            (wrapping, wrapped, b"other"),
            (other, wrapped, b"policy"),
            (wrapping, suite, b"policy"),
            (wrapping, check, b"policy"),
            (wrapping, empty, b"policy"),
        ):
            with pytest.raises(UnwrapFailed):
                unwrap(key, value, policy)


def test_a_wrapped_and_a_live_key_share_no_base() -> None:
    assert set(WrappedKey.__mro__) & set(LiveKey.__mro__) == {object}


def test_a_closed_live_key_is_wiped_and_gives_nothing() -> None:
    octets = os.urandom(32)
    live = LiveKey(octets)
    live.close()
    live.close()
    assert octets == bytes(32)
    with pytest.raises(ValueError, match="closed"):
        _ = live.octets


def test_a_live_key_is_wiped_when_it_is_dropped() -> None:
    octets = os.urandom(32)
    live = LiveKey(octets)
    del live
    assert octets == bytes(32)


def test_a_live_key_gets_into_no_repr_pickle_hash_or_comparison() -> None:
    live = LiveKey(fresh(b"very secret octets"))
    assert "secret" not in f"{live!r} {live!s}"
    with pytest.raises(TypeError):
        pickle.dumps(live)
    with pytest.raises(TypeError):
        _ = live == live
    with pytest.raises(TypeError):
        hash(live)


def test_wiping_overwrites_in_place_and_spares_shared_objects() -> None:
    octets = os.urandom(100)
    wipe(octets)
    assert octets == bytes(100)
    wipe(b"")
    wipe(bytes((65,)))
    assert bytes((65,)) == b"A"


def test_locking_says_whether_it_worked() -> None:
    assert lock(os.urandom(32)) in (True, False)


def test_a_hardened_process_dumps_no_core_and_is_not_dumpable() -> None:
    code = (
        "import ctypes, resource; from signerd_kms.memory import harden_process; "
        "assert harden_process(); assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0); "
        "assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=20)
