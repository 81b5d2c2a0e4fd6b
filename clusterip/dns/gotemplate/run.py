"""Templates filled with values."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clusterip.dns.gotemplate.errors import BadTemplate
from clusterip.dns.gotemplate.functions import FUNCTIONS, shown, truth
from clusterip.dns.gotemplate.parse import parse
from clusterip.dns.gotemplate.tree import (
    Branch,
    Call,
    Chain,
    Dot,
    Function,
    Leave,
    Literal,
    Node,
    Operand,
    Pipeline,
    Show,
    Text,
    Variable,
)

_MAX_DEPTH = 50
_MAX_SIZE = 1 << 16
_LAZY = ("and", "or")


class _NoValue(str):
    """What a map has where it has nothing: written so, but not true."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


_NO_VALUE = _NoValue("<no value>")


Scope = ChainMap[str, Any]
"""Variables, those of the innermost block first."""


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Template:
    """A template, read once."""

    def __init__(self, text: str) -> None:
        """Raises BadTemplate if it cannot be read or names a function that there is not."""
        try:
            self._bodies = parse(text)
            for body in self._bodies.values():
                _check(body, self._bodies)
        except RecursionError:
            raise BadTemplate("it is nested too deeply") from None

    def fill(self, values: Mapping[str, Any]) -> str:
        """The text for some values; callables among them are methods. Raises BadTemplate."""
        run = _Run(self._bodies)
        scope: Scope = ChainMap({"$": values})
        try:
            run.body(self._bodies[""], values, scope)
        except RecursionError:
            raise BadTemplate("it is nested too deeply") from None
        return "".join(run.out)


class _Run:
    def __init__(self, bodies: Mapping[str, list[Node]]) -> None:
        self.out: list[str] = []
        self._bodies = bodies
        self._depth = 0
        self._size = 0

    def body(self, nodes: list[Node], dot: Any, scope: Scope) -> None:
        for node in nodes:
            self._node(node, dot, scope)

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > _MAX_SIZE:
            raise BadTemplate(f"it makes more than {_MAX_SIZE} characters")
        self.out.append(text)

    def _node(self, node: Node, dot: Any, scope: Scope) -> None:
        match node:
            case Text():
                self._write(node.text)
            case Show():
                value = self._pipeline(node.pipeline, dot, scope)
                if not node.pipeline.variables:
                    self._write(shown(value))
            case Leave():
                raise _Break if node.kind == "break" else _Continue
            case Call():
                self._call(node, dot, scope)
            case Branch():
                self._branch(node, dot, scope.new_child())

    def _call(self, node: Call, dot: Any, scope: Scope) -> None:
        value = None if node.pipeline is None else self._pipeline(node.pipeline, dot, scope)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise BadTemplate(f"template {node.name} calls itself without end")
        self.body(self._bodies[node.name], value, ChainMap({"$": value}))
        self._depth -= 1

    def _branch(self, node: Branch, dot: Any, inner: Scope) -> None:
        ranges = node.kind == "range"
        value = self._pipeline(node.pipeline, dot, inner, bind=not ranges)
        if ranges:
            if not self._range(node, value, inner):
                self.body(node.otherwise, dot, inner)
        elif truth(value):
            self.body(node.body, value if node.kind == "with" else dot, inner)
        else:
            self.body(node.otherwise, dot, inner)

    def _range(self, node: Branch, value: Any, inner: Scope) -> bool:
        """Whether there was anything to go through."""
        entered = False
        for key, each in _items(value):
            entered = True
            scope = inner.new_child()
            names = node.pipeline.variables
            values = (each,) if len(names) == 1 else (key, each)
            for name, bound in zip(names, values, strict=False):
                _bind(scope, name, bound, declares=node.pipeline.declares)
            try:
                self.body(node.body, each, scope)
            except _Continue:
                pass
            except _Break:
                break
        return entered

    def _pipeline(self, pipeline: Pipeline, dot: Any, scope: Scope, *, bind: bool = True) -> Any:
        value: Any = None
        for number, command in enumerate(pipeline.commands):
            value = self._command(command, dot, scope, [value] if number else [])
        if bind and pipeline.variables:
            if len(pipeline.variables) > 1:
                raise BadTemplate("two variables fit only a range")
            (name,) = pipeline.variables
            _bind(scope, name, value, declares=pipeline.declares)
        return value

    def _command(self, command: tuple[Operand, ...], dot: Any, scope: Scope, last: list[Any]) -> Any:
        first, *rest = command
        if isinstance(first, Function) and first.name in _LAZY:
            return self._lazily(first.name, rest, dot, scope, last)
        arguments = [self._operand(each, dot, scope) for each in rest] + last
        if isinstance(first, Function):
            try:
                return FUNCTIONS[first.name](*arguments)
            except TypeError as error:
                raise BadTemplate(f"{first.name}: {error}") from None
        value = self._operand(first, dot, scope, called=True)
        if callable(value):
            try:
                return value(*arguments)
            except TypeError as error:
                raise BadTemplate(str(error)) from None
        if arguments:
            raise BadTemplate(f"{shown(value)} is no function, and gets arguments")
        return value

    def _lazily(self, name: str, rest: list[Operand], dot: Any, scope: Scope, last: list[Any]) -> Any:
        value: Any = None
        for operand in [*rest, *map(Literal, last)]:
            value = self._operand(operand, dot, scope)
            if truth(value) is (name == "or"):
                return value
        return value

    def _operand(self, operand: Operand, dot: Any, scope: Scope, *, called: bool = False) -> Any:
        match operand:
            case Literal():
                return operand.value
            case Dot():
                return dot
            case Variable():
                if operand.name not in scope:
                    raise BadTemplate(f"{operand.name} is not there")
                return scope[operand.name]
            case Pipeline():
                return self._pipeline(operand, dot, scope)
            case Function():
                return self._command((operand,), dot, scope, [])
            case Chain():
                value = self._operand(operand.base, dot, scope)
                for name in operand.fields:
                    value = _field(value, name)
                return self._called(value) if callable(value) and not called else value

    @staticmethod
    def _called(method: Callable[..., Any]) -> Any:
        try:
            return method()
        except TypeError as error:
            raise BadTemplate(str(error)) from None


def _bind(scope: Scope, name: str, value: Any, *, declares: bool) -> None:
    """Give a variable a value: a new one of this block, or the one that is there."""
    if declares:
        scope[name] = value
        return
    for block in scope.maps:
        if name in block:
            block[name] = value
            return
    raise BadTemplate(f"{name} is not there")


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise BadTemplate(f"{shown(value)} has no .{name}")
    return value.get(name, _NO_VALUE)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    match value:
        case dict():
            return iter(sorted(value.items()))
        case list() | tuple():
            return iter(enumerate(value))
        case int() if not isinstance(value, bool):
            return ((number, number) for number in range(min(value, _MAX_SIZE)))
        case None:
            return iter(())
    raise BadTemplate(f"range over {shown(value)}")


def _check(nodes: list[Node], bodies: Mapping[str, list[Node]]) -> None:
    for node in nodes:
        match node:
            case Show():
                _check_operand(node.pipeline)
            case Call():
                if node.name not in bodies:
                    raise BadTemplate(f'there is no template "{node.name}"')
                if node.pipeline is not None:
                    _check_operand(node.pipeline)
            case Branch():
                _check_operand(node.pipeline)
                _check(node.body, bodies)
                _check(node.otherwise, bodies)


def _check_operand(operand: Operand) -> None:
    match operand:
        case Pipeline():
            for command in operand.commands:
                for each in command:
                    _check_operand(each)
        case Chain():
            _check_operand(operand.base)
        case Function() if operand.name not in FUNCTIONS and operand.name not in _LAZY:
            raise BadTemplate(f'there is no function "{operand.name}"')
