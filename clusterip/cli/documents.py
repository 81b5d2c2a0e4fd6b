"""Manifests: YAML and JSON documents of files, directories and standard input, and YAML for people."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clusterip.cli.connection import CommandError
from clusterip.cli.resources import find
from clusterip.objects.registry import Resource, find_kind, resources

_SUFFIXES = (".json", ".yaml", ".yml")
_NAMES = {str: "text", list: "a list", int: "a number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class Document:
    """One object of a manifest; ``source`` is the file it came from, as kubectl names it."""

    tree: dict[str, Any]
    source: str

    @property
    def resource(self) -> Resource[Any]:
        """Its kind. Raises CommandError if there is no such kind."""
        api_version, kind = self.tree["apiVersion"], self.tree["kind"]
        found = find_kind(api_version, kind)
        if found is None:
            raise CommandError(
                f'error: resource mapping not found for name: "{self.name}" namespace: "{self.namespace}" '
                f'from "{self.source}": no matches for kind "{kind}" in version "{api_version}"\n'
                f"{_suggestion(api_version, kind)}"
            )
        return found

    @property
    def name(self) -> str:
        return str((self.tree.get("metadata") or {}).get("name") or "")

    @property
    def namespace(self) -> str:
        return str((self.tree.get("metadata") or {}).get("namespace") or "")


def read(files: Sequence[str], *, recursive: bool = False) -> list[Document]:
    """The documents of files and directories (``-``: standard input), lists taken apart.

    Raises:
        CommandError: a file is missing, is no YAML, or holds something that is no object.
    """
    documents = [document for file in files for document in _of(file, recursive)]
    if not documents:
        raise CommandError(
            "error: no objects passed to apply"
            if files
            else "error: say what is meant with -f: a file, a directory, or - for standard input"
        )
    return documents


def _of(file: str, recursive: bool) -> Iterator[Document]:
    if file == "-":
        yield from _parse(sys.stdin.read(), "STDIN")
        return
    path = Path(file)
    if not path.exists():
        raise CommandError(f'error: the path "{file}" does not exist')
    if path.is_dir():
        entries = sorted(path.rglob("*") if recursive else path.iterdir())
        chosen = [entry for entry in entries if entry.suffix in _SUFFIXES and entry.is_file()]
        if not chosen:
            raise CommandError(
                f"error: error reading [{file}]: recognized file extensions are [{' '.join(_SUFFIXES)}]"
            )
    else:
        chosen = [path]
    for each in chosen:
        yield from _parse(each.read_text(), str(each))


def _parse(text: str, source: str) -> Iterator[Document]:
    try:
        trees = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise CommandError(
            f"error: error parsing {source}: error converting YAML to JSON: yaml: {_problem(error)}"
        ) from None
    for tree in trees:
        if tree is None:
            continue
        for item in _flatten(tree, source):
            yield Document(item, source)


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong and where, in a line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark and problem else str(error)


def _suggestion(api_version: str, kind: str) -> str:
    """What may be meant by a kind that does not exist."""
    elsewhere = [each.api_version for each in resources() if each.kind == kind]
    if elsewhere:
        return f"{kind} is in version {' and '.join(dict.fromkeys(elsewhere))}"
    alike = difflib.get_close_matches(kind, {each.kind for each in resources()}, 1)
    return f"did you mean {alike[0]}?" if alike else f"there is no kind {kind} in this cluster"


def _flatten(tree: Any, source: str) -> Iterator[dict[str, Any]]:
    if not isinstance(tree, dict):
        raise CommandError(
            f'error: unable to decode "{source}": it holds {_NAMES.get(type(tree), "a value")}, not an object'
        )
    for field in ("kind", "apiVersion"):
        if not isinstance(tree.get(field), str) or not tree[field]:
            raise CommandError(f'error: error validating "{source}": error validating data: {field} not set')
    if tree["kind"].endswith("List") and isinstance(tree.get("items"), list):
        kind = tree["kind"].removesuffix("List")
        for item in tree["items"]:
            default = {"kind": kind, "apiVersion": tree["apiVersion"]} if kind else {}
            yield from _flatten({**default, **item} if isinstance(item, dict) else item, source)
        return
    yield tree


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: times and dates stay text, only true and false are booleans."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """YAML as kubectl writes it."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(tree: Any) -> str:
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=True, width=1 << 30, allow_unicode=True)
    return text


def as_json(tree: Any) -> str:
    """JSON as Go writes it: no spaces, keys in order."""
    return json.dumps(tree, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


__all__ = ["Document", "as_json", "as_yaml", "find", "read", "resources"]
