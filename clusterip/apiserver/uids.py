"""UIDs of new objects: random UUIDs (version 4), made many at a time.

Asking the kernel for randomness lets other threads of the process run, and this one then waits for its turn:
under load that takes longer than all the rest of making a UID.
"""

from __future__ import annotations

import os

_DIGITS = 32
_COUNT = 256
_VARIANT = "89ab"

_unused: list[str] = []


def new_uid() -> str:
    if not _unused:
        digits = os.urandom(_DIGITS // 2 * _COUNT).hex()
        _unused.extend(digits[i : i + _DIGITS] for i in range(0, len(digits), _DIGITS))
    text = _unused.pop()
    variant = _VARIANT[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


# A forked process must not give the UIDs that its parent gives.
os.register_at_fork(after_in_child=_unused.clear)
