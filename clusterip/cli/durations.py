"""Durations on command lines."""

from __future__ import annotations

import re

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    """The seconds of a duration as Go writes it, such as ``40s`` or ``1m30s``; a callback of an option."""
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise click.BadParameter(f"{text} is not a duration such as 40s or 1m30s")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
