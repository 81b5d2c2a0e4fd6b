"""Whether a user may do what a request asks for."""

from __future__ import annotations

from typing import Protocol

from clusterip.apiserver.authn import User
from clusterip.apiserver.router import RequestInfo

PUBLIC = frozenset(("/healthz", "/livez", "/readyz", "/version"))
"""Paths that anyone may read, known or not, so that health checkers need no credentials."""


class Authorizer(Protocol):
    def reason_to_deny(self, user: User, info: RequestInfo) -> str | None:
        """None if the user may do this, else why not."""
        ...


class AlwaysAllow:
    """Whoever is authenticated may do everything."""

    def reason_to_deny(self, user: User, info: RequestInfo) -> str | None:
        return None


MODES = {"AlwaysAllow": AlwaysAllow}


def authorizer(mode: str) -> Authorizer:
    """The authorizer of an ``--authorization-mode``.

    Raises:
        ValueError: there is no such mode here.
    """
    try:
        return MODES[mode]()
    except KeyError:
        raise ValueError(f'authorization mode "{mode}" is not known: use one of {", ".join(MODES)}') from None
