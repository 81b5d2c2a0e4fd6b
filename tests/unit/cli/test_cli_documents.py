"""Reading manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterip.cli.connection import CommandError
from clusterip.cli.documents import as_json, as_yaml, read

SERVICE = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n"


def _file(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_documents_of_one_file_in_order_without_empty_ones(tmp_path: Path) -> None:
    text = f"---\n{SERVICE}---\n---\n{SERVICE.replace('name: a', 'name: b')}"
    assert [d.name for d in read([_file(tmp_path / "a.yaml", text)])] == ["a", "b"]


def test_a_directory_gives_its_manifests_only(tmp_path: Path) -> None:
    _file(tmp_path / "b.yml", SERVICE)
    _file(tmp_path / "a.json", '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}')
    _file(tmp_path / "README.md", "no manifest")
    assert [d.resource.plural for d in read([str(tmp_path)])] == ["pods", "services"]


def test_lists_are_taken_apart(tmp_path: Path) -> None:
    text = '{"apiVersion": "v1", "kind": "List", "items": [' + as_json(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    )
    assert [d.name for d in read([_file(tmp_path / "l.json", text + "]}")])] == ["a"]


def test_timestamps_and_words_stay_text(tmp_path: Path) -> None:
    text = SERVICE + "  annotations: {when: 2026-01-01T00:00:00Z}\n"
    (document,) = read([_file(tmp_path / "a.yaml", text)])
    assert document.tree["metadata"]["annotations"] == {"when": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Service\n", "apiVersion not set"),
        ("apiVersion: v1\n", "kind not set"),
        ("a: b: c\n", "error converting YAML to JSON: yaml: line 1: mapping values are not allowed"),
        ("- 1\n", "it holds a list, not an object"),
        ("just text\n", "it holds text, not an object"),
        ("", "no objects passed"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        read([_file(tmp_path / "x.yaml", text)])


def test_unknown_kinds_are_named(tmp_path: Path) -> None:
    text = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n"
    (document,) = read([_file(tmp_path / "x.yaml", text)])
    with pytest.raises(CommandError, match=r'no matches for kind "Widget" in version "example\.com/v1"'):
        _ = document.resource


@pytest.mark.parametrize(
    ("api_version", "kind", "hint"),
    [
        ("v1", "Deployment", "Deployment is in version apps/v1"),
        ("v1", "Servise", r"did you mean Service\?"),
        ("example.com/v1", "Xyzzy", "there is no kind Xyzzy in this cluster"),
    ],
)
def test_unknown_kinds_get_a_hint(tmp_path: Path, api_version: str, kind: str, hint: str) -> None:
    text = f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: w}}\n"
    (document,) = read([_file(tmp_path / "x.yaml", text)])
    with pytest.raises(CommandError, match=hint):
        _ = document.resource


def test_yaml_for_people() -> None:
    assert as_yaml({"b": ["x"], "a": "1\n2\n", "n": "8"}) == "a: |\n  1\n  2\nb:\n- x\nn: '8'\n"
