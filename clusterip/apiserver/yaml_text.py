"""YAML as JSON, the way Go programs read it (``sigs.k8s.io/yaml`` over go-yaml 2).

Differences from PyYAML's own loader matter to clients: ``y`` and ``off`` are booleans, ``1e3`` is a number,
dates stay text, unknown tags are ignored, duplicate keys are told, only the first document counts.
"""

from __future__ import annotations

import base64
import math
import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"
"""The tag of a scalar without quotes and without a tag of its own."""

_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BOOLEANS = {
    word: truth
    for truth, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for plain in words
    for word in (plain, plain.capitalize(), plain.upper())
}
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INFINITIES = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf}
_MANY = 10_000
"""Aliases that a document may use before it must be worth them (against a billion laughs)."""

MAX_DEPTH = 10_000


class YamlError(ValueError):
    """The text is not YAML, or has what JSON has not."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Composes nodes; what plain scalars mean is decided here rather than by the library."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        tag: str = super().resolve(kind, value, implicit)
        return tag


def parse(text: bytes) -> tuple[Any, list[str]]:
    """The first document as a JSON tree, and its duplicate keys, told as go-yaml tells them.

    Raises:
        YamlError: it is not YAML; the message is go-yaml's.
    """
    try:
        loader = _Loader(text.removeprefix(b"\xef\xbb\xbf"))
        try:
            node = loader.get_node() if loader.check_node() else None
        finally:
            loader.dispose()
        reader = _Reader()
        return (None if node is None else reader.tree(node)), reader.duplicates
    except RecursionError:
        raise YamlError(f"yaml: exceeded max depth of {MAX_DEPTH}") from None
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"yaml: {_where(error)}{_problem(error, text)}") from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"yaml: {error.reason}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"yaml: {error}") from None


def _where(error: yaml.MarkedYAMLError) -> str:
    """go-yaml counts a parser's lines from 0 and a scanner's from 1, and says nothing of line 0."""
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark is not None else 0
    if line and isinstance(error, yaml.scanner.ScannerError):
        line += 1
    return f"line {line}: " if line and not isinstance(error, yaml.composer.ComposerError) else ""


def _problem(error: yaml.MarkedYAMLError, text: bytes) -> str:
    problem = str(error.problem)
    if problem.startswith("found undefined alias") and error.problem_mark is not None:
        name = re.match(r"\*?([\w-]*)", text.decode("utf-8", "replace")[error.problem_mark.index :])
        return f"unknown anchor '{name[1] if name else ''}' referenced"
    return f"exceeded max depth of {MAX_DEPTH}" if "maximum nesting depth" in problem else problem


class _Reader:
    """Makes a tree of nodes."""

    def __init__(self) -> None:
        self.duplicates: list[str] = []
        self._seen: set[int] = set()
        self._nodes = self._repeated = 0
        self._inside_alias = 0

    def tree(self, node: yaml.Node) -> Any:
        self._nodes += 1
        again = id(node) in self._seen
        self._seen.add(id(node))
        self._inside_alias += again
        self._repeated += self._inside_alias > 0
        if self._repeated > _MANY and self._repeated * 10 > self._nodes * 9:
            raise YamlError("yaml: document contains excessive aliasing")
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node)
            if isinstance(node, yaml.SequenceNode):
                return [self.tree(item) for item in node.value]
            assert isinstance(node, yaml.ScalarNode)  # there are no others
            return _scalar(node)
        finally:
            self._inside_alias -= again

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.value == "<<" and key_node.tag == _PLAIN:
                merged = self._merged(value_node) | merged
                continue
            key = _key(self.tree(key_node))
            if key in own:
                line = key_node.start_mark.line + 1
                self.duplicates.append(f'line {line}: key "{key}" already set in map')
            own[key] = self.tree(value_node)
        return merged | own

    def _merged(self, node: yaml.Node) -> dict[str, Any]:
        values = [self.tree(each) for each in node.value] if isinstance(node, yaml.SequenceNode) else None
        if values is None:
            values = [self.tree(node)]
        result: dict[str, Any] = {}
        for value in values:
            if not isinstance(value, dict):
                raise YamlError("yaml: map merge requires map or sequence of maps as the value")
            result = value | result
        return result


def _key(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        raise YamlError("yaml: invalid map key")
    return str(value)


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    tag = node.tag.removeprefix(_TAG)
    if tag == _PLAIN:
        return _plain(text)
    if tag == "binary":
        try:
            return base64.b64decode(text).decode("utf-8", "replace")
        except ValueError:
            raise YamlError("yaml: !!binary value contains invalid base64 data") from None
    if tag in ("int", "float", "bool", "null"):
        value = _plain(text)
        wanted = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}[tag]
        if not isinstance(value, wanted):  # type: ignore[arg-type]
            raise YamlError(f"yaml: cannot decode !!str `{text}` as a !!{tag}")
        return value
    return text


def is_special(text: str) -> bool:
    """Whether a text means something else than itself when it stands without quotes."""
    try:
        return not isinstance(_plain(text), str)
    except YamlError:
        return True


def _plain(text: str) -> Any:
    """What a scalar without quotes and tag is."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NULLS:
        return None
    if text.lower() in _INFINITIES:
        raise YamlError(f"json: unsupported value: {'-' if text[0] == '-' else '+'}Inf")
    if text.lower() == ".nan":
        raise YamlError("json: unsupported value: NaN")
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _float(text)
    return text


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    number = int(digits.replace("0", "0o", 1), 0) if re.fullmatch(r"[-+]?0[0-7]+", digits) else int(digits, 0)
    # What has no 64-bit form becomes a float there, and is written as one.
    return number if -(2**63) <= number < 2**64 else int(float(number))


def _float(text: str) -> int | float:
    number = float(text)
    if math.isinf(number):
        raise YamlError(f"json: unsupported value: {'-' if number < 0 else '+'}Inf")
    return int(number) if number.is_integer() and abs(number) < 1e21 else number
