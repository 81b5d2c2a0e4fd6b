"""A sign of life, in a terminal, from whatever takes longer than a second."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

_QUIET_SECONDS = 1.0
_STEP_SECONDS = 0.2


@contextlib.contextmanager
def saying(what: str) -> Iterator[None]:
    """Say what is being done and for how long, in a line of standard error that is gone afterwards.

    Where standard error is no terminal nothing is written.
    """
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_say, args=(what, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _say(what: str, ended: threading.Event) -> None:
    began = time.monotonic()
    if ended.wait(_QUIET_SECONDS):
        return
    while True:
        sys.stderr.write(f"\r{what} … {time.monotonic() - began:.0f} s ")
        sys.stderr.flush()
        if ended.wait(_STEP_SECONDS):
            break
    sys.stderr.write("\r\x1b[K")
    sys.stderr.flush()
