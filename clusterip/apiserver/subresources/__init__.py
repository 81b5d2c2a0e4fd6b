"""Parts of objects and actions on them that have a path of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def handlers() -> Mapping[tuple[str, str], Any]:
    """The handlers by plural and subresource; ``*`` stands for any plural."""
    return {}
