"""``$(NAME)`` in commands, arguments and environment values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, values: Mapping[str, str], missing: Callable[[str], str] | None = None) -> str:
    """``text`` with known references replaced, ``$$`` is a literal ``$``.

    Unknown ones stay, or are what ``missing`` gives for their name.
    """

    def replace(match: re.Match[str]) -> str:
        if match.group(0) == "$$":
            return "$"
        name = match.group(1)
        if name not in values and missing is not None:
            return missing(name)
        return values.get(name, match.group(0))

    return _REFERENCE.sub(replace, text)
