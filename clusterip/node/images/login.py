"""A name and a password."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Login:
    """Who to be at a registry."""

    username: str
    password: str
