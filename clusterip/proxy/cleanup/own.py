"""Removing everything that any of our data planes has made."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.process import Fatal, log
from clusterip.proxy import modes
from clusterip.proxy.backend import BackendError

_log = log.get("proxy")


def clean_up(names: Iterable[str]) -> None:
    """Remove the rules of these data planes. Raises Fatal."""
    try:
        for name in names:
            for removed in modes.get(name).clean_up():
                _log.info("removed rules", rules=removed)
    except BackendError as error:
        raise Fatal(str(error)) from None
