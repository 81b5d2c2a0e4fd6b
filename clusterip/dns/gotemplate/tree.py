"""What a template consists of once it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Literal:
    """A string, a number, a truth value or nil."""

    value: Any


@dataclass(frozen=True)
class Dot:
    """``.``: what is at hand."""


@dataclass(frozen=True)
class Variable:
    """``$name``."""

    name: str


@dataclass(frozen=True)
class Chain:
    """``BASE.a.b``."""

    base: Operand
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    """A function by its name."""

    name: str


@dataclass(frozen=True)
class Pipeline:
    """Commands, each of which gets the result of the one before as its last argument."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = True
    """The variables are new, else they get another value."""


Operand = Literal | Dot | Variable | Chain | Function | Pipeline


@dataclass(frozen=True)
class Text:
    """What stands outside of actions."""

    text: str


@dataclass(frozen=True)
class Show:
    """``{{ PIPELINE }}``"""

    pipeline: Pipeline


@dataclass
class Branch:
    """``if``, ``with`` or ``range``."""

    kind: str
    pipeline: Pipeline
    body: list[Node] = field(default_factory=list)
    otherwise: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """``{{ template NAME PIPELINE }}``"""

    name: str
    pipeline: Pipeline | None


@dataclass(frozen=True)
class Leave:
    """``break`` or ``continue``."""

    kind: str


Node = Text | Show | Branch | Call | Leave
