"""Memory that is not needed any more."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return free pages of the C library's heap to the system: after a start, that is where much was in use.

    Where the C library cannot (musl), nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
