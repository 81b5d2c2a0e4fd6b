"""The configuration file: read strictly, or with a warning as far as it can be understood; and written."""

from __future__ import annotations

import types
import typing
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from clusterip.objects.codec import without_nulls
from clusterip.proxy.config.durations import Duration
from clusterip.proxy.config.errors import ConfigurationError
from clusterip.proxy.config.types import API_VERSION, KIND, KubeProxyConfiguration, tree_of

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def read(path: str) -> tuple[KubeProxyConfiguration, list[str]]:
    """The configuration in a file (YAML or JSON), without defaults, and what a strict reader minds in it.

    As upstream: unknown and repeated fields are for a warning, for kube-proxy never refused them.

    Raises:
        ConfigurationError: there is no file, or it is not a configuration of this kind.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the configuration {path}: {error.strerror}") from None
    try:
        return decode(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def decode(text: bytes) -> tuple[KubeProxyConfiguration, list[str]]:
    """As ``read``, of the file's content."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        tree = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"this is not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigurationError(f"this is not a {KIND}, but {_name_of(tree)}")
    _check_kind(tree)
    complaints = [*_repeated(node), *_unknown(tree, KubeProxyConfiguration, "")]
    try:
        config = msgspec.convert(without_nulls(tree), KubeProxyConfiguration, dec_hook=_decode_hook)
    except msgspec.ValidationError as error:
        raise ConfigurationError(str(error)) from None
    return config, complaints


def write(config: KubeProxyConfiguration, path: str) -> None:
    """Raises ConfigurationError: the file cannot be written."""
    text = yaml.dump(tree_of(config), Dumper=_Dumper, sort_keys=True, default_flow_style=False)
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise ConfigurationError(f"cannot write the configuration to {path}: {error.strerror}") from None


def _check_kind(tree: dict[str, Any]) -> None:
    for name in ("apiVersion", "kind"):
        if not isinstance(tree.get(name), str) or not tree[name]:
            raise ConfigurationError(f"{name} is missing; it must say {API_VERSION}, kind {KIND}")
    found = (tree["apiVersion"], tree["kind"])
    if found != (API_VERSION, KIND):
        raise ConfigurationError(f"this is a {found[1]} of {found[0]}; a {KIND} of {API_VERSION} is wanted")


def _decode_hook(type_: type, value: Any) -> Any:
    if type_ is not Duration:
        raise NotImplementedError(type_)
    if isinstance(value, str):
        return Duration.parse(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Duration(value)  # as logging.flushFrequency may be: nanoseconds
    raise ValueError(f"expected a duration such as 30s, got {value!r}")


def _unknown(tree: Any, type_: Any, where: str) -> Iterator[str]:
    """Fields that a type does not have, at any depth."""
    origin = typing.get_origin(type_)
    if origin in (typing.Union, types.UnionType):
        for member in typing.get_args(type_):
            if member is not type(None):
                yield from _unknown(tree, member, where)
    elif origin is list and isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _unknown(item, typing.get_args(type_)[0], f"{where}[{index}]")
    elif isinstance(type_, type) and issubclass(type_, msgspec.Struct) and isinstance(tree, dict):
        hints = typing.get_type_hints(type_)
        for name, value in tree.items():
            path = f"{where}.{name}" if where else str(name)
            if name not in hints:
                yield f'unknown field "{path}"'
            else:
                yield from _unknown(value, hints[name], path)


def _repeated(node: Any) -> Iterator[str]:
    """Keys that a mapping has twice, of which YAML readers keep the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key, value in node.value:
            if key.value in seen:
                yield f'line {key.start_mark.line + 1}: key "{key.value}" already set'
            seen.add(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)


def _name_of(tree: Any) -> str:
    return "nothing" if tree is None else f"a {type(tree).__name__}"
