"""What commands print for programs."""

from __future__ import annotations

from typing import Any

import click


def print_json(value: Any) -> None:
    """A value, which may hold msgspec's structs, as indented JSON."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
