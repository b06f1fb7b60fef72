"""Hygiene for secrets in memory. It shortens their stay; Python cannot promise that no copy is left.

Calls are CPython on Linux; elsewhere locking and process settings report False and nothing breaks.
"""

import ctypes
import mmap
import resource
import sys

_BYTES_HEADER = bytes.__basicsize__ - 1  # the octets start here; the size counts a final NUL
_PR_SET_DUMPABLE = 4  # linux/prctl.h
_MADV_DONTDUMP = 16  # asm-generic/mman-common.h


def wipe(octets: bytes) -> None:
    """Overwrite a bytes object in place.

    Only for objects this package made itself and nobody else can hold: changing a shared constant would
    change it for the whole program. Objects of 0 and 1 octet are shared by CPython and are left alone.
    """
    if len(octets) > 1 and sys.implementation.name == "cpython":
        ctypes.memset(id(octets) + _BYTES_HEADER, 0, len(octets))


def lock(octets: bytes) -> bool:
    """Keep the pages of a bytes object out of swap and out of core dumps until the process ends.

    They are never unlocked: another locked object may be on the same page.

    Returns:
        Whether the system did it; the limit for an unprivileged process is small.
    """
    library = ctypes.CDLL(None)
    mlock, madvise = getattr(library, "mlock", None), getattr(library, "madvise", None)
    if mlock is None or not octets:
        return False
    start = id(octets) + _BYTES_HEADER
    if madvise is not None:  # in case something turns core dumps on again
        page = start - start % mmap.PAGESIZE
        madvise(ctypes.c_void_p(page), ctypes.c_size_t(start + len(octets) - page), _MADV_DONTDUMP)
    return int(mlock(ctypes.c_void_p(start), ctypes.c_size_t(len(octets)))) == 0


def harden_process() -> bool:
    """Forbid core dumps and reading this process's memory by other processes of the same user.

    Call it once, early, in a process that will hold keys; child processes inherit the core limit only.

    Returns:
        Whether both took effect.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return False
    return int(prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)) == 0
