"""What a part said before it ended, for those who see but that it did."""

from __future__ import annotations

import os
import re

_MOST = 1 << 16
_ERROR = re.compile(
    r'^\S+ ERROR \S+ event="((?:[^"\\]|\\.)*)"(?: error=("(?:[^"\\]|\\.)*"|\S+))?', re.MULTILINE
)


def size(path: str) -> int:
    """How long a log is; 0 if there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def last_error(path: str, begin: int) -> str:
    """The last error in a log after its first ``begin`` bytes; "" if there is none."""
    try:
        with open(path, "rb") as log:
            log.seek(max(begin, size(path) - _MOST))
            text = log.read(_MOST).decode(errors="replace")
    except OSError:
        return ""
    found = _ERROR.findall(text)
    if not found:
        return ""
    return ": ".join(_plain(part) for part in found[-1] if part)


def _plain(value: str) -> str:
    """A value of logfmt without its quotes."""
    return value.strip('"').replace('\\"', '"').replace("\\n", " ").replace("\\\\", "\\")
