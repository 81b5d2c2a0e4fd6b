"""Configuration before it has a meaning: directives with arguments and blocks, and where each was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn


class Where(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class BadConfig(Exception):
    """A configuration that cannot be used; says where and why."""

    def __init__(self, where: Where | None, why: str) -> None:
        super().__init__(f"{where}: {why}" if where is not None else why)
        self.where = where
        self.why = why


@dataclass(slots=True)
class Directive:
    """One line of a block: a name, its arguments and perhaps a block of its own."""

    name: str
    args: list[str]
    where: Where
    block: list[Directive] = field(default_factory=list)

    def fail(self, why: str) -> NoReturn:
        """Raises BadConfig."""
        raise BadConfig(self.where, f"{self.name}: {why}")

    def one(self) -> str:
        """The only argument. Raises BadConfig if there is another number of them."""
        if len(self.args) != 1:
            self.fail(f"exactly one argument expected, not {len(self.args)}")
        return self.args[0]

    def flag(self) -> bool:
        """True, for an option that is there or not. Raises BadConfig if there are arguments."""
        if self.args:
            self.fail(f'no argument expected, not "{" ".join(self.args)}"')
        return True

    def some(self) -> list[str]:
        """All arguments. Raises BadConfig if there are none."""
        if not self.args:
            self.fail("an argument is missing")
        return self.args


@dataclass(slots=True)
class Block:
    """A server block: for which zones, and what is done for them."""

    keys: list[str]
    directives: list[Directive]
    where: Where

    def __iter__(self) -> Iterator[Directive]:
        return iter(self.directives)
