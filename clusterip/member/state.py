"""What a machine that has joined remembers: enough to start while no server answers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from clusterip.member.clusterinfo import Settings
from clusterip.member.files import write


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A node and its cluster. ``servers`` are the URLs it joined by, ``addresses`` the node's own."""

    node: str
    addresses: tuple[str, ...]
    servers: tuple[str, ...]
    ca_hash: str
    settings: Settings
    labels: dict[str, str] = {}


def read(path: Path) -> Membership | None:
    """None if the machine has not joined yet."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(text, type=Membership, dec_hook=lambda kind, value: kind(value))


def save(path: Path, membership: Membership) -> None:
    write(path, msgspec.json.format(msgspec.json.encode(membership, enc_hook=str), indent=2) + b"\n", 0o600)


def read_servers(path: Path) -> list[tuple[str, int]]:
    """The servers as they were last; empty if that is not known."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[tuple[str, int]])
    except (OSError, msgspec.DecodeError):
        return []


def save_servers(path: Path, servers: list[tuple[str, int]]) -> None:
    write(path, msgspec.json.encode(servers))
