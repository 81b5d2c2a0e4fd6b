"""The pages: a site without warnings, links that lead somewhere, commands, options and files that exist."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clusterip.cli.main import COMMANDS, HIDDEN, load

ROOT = Path(__file__).parents[2]


def test_the_site_is_built_without_warnings(tmp_path: Path) -> None:
    """A page that is in no contents, a link that leads nowhere, a heading that is gone: all are warnings."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "UTC"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in (tmp_path / "site").glob("*.html")}
    commands = (tmp_path / "site" / "reference" / "command-line.html").read_text()
    assert 'id="clusterip-snapshot-restore"' in commands
    assert "--service-cluster-ip-range" in commands


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / document).read_text()):
        assert (ROOT / link).exists(), link


_CALL = re.compile(r"(?:^|[\s`(\"])(?:\.venv/bin/)?(?<!ip )(?<!ip6 )clusterip((?: +[^\s`|;<>()]+)+)")
_OPTION = re.compile(r"(--?[a-z][\w.-]*)")


def _calls() -> Iterator[tuple[str, list[str]]]:
    """Each call of `clusterip` in the pages, in code: where it is, and its words."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text().replace("\\\n", " ")
        fenced = re.findall(r"^ *```(?:console|sh|)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
        for line in [*"\n".join(fenced).splitlines(), *re.findall(r"`[^`]+`", prose)]:
            for call in _CALL.finditer(line):
                yield f"{path.name}: {line.strip()}", call[1].split()


def _command_of(words: list[str]) -> tuple[click.Command | None, list[str]]:
    """The command that words begin with, and the words after it."""
    if words[0] not in {*itertools.chain(*COMMANDS.values()), *HIDDEN}:
        return None, words
    command, rest = load(words[0]), words[1:]
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    if words[0] == "install" and rest:
        command = load(rest[0])
    return command, rest


def test_commands_in_the_pages_exist_and_have_the_options() -> None:
    wrong, known = [], 0
    for place, words in _calls():
        command, rest = _command_of(words)
        if command is None:
            if re.match(r"[a-z]+$", words[0]):
                wrong.append(f"{place}: no command {words[0]}")
            continue
        known += 1
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        for word in itertools.takewhile(lambda word: word != "--", rest):
            option = _OPTION.match(word)
            if option and option[1] not in {*options, "-h", "--help"}:
                wrong.append(f"{place}: {words[0]} has no {option[1]}")
    assert wrong == []
    assert known > 50


def test_make_targets_and_programs_in_the_pages_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        assert set(re.findall(r"(?:^|[`#] ?)make ([a-z]+)", text, re.MULTILINE)) <= targets, path.name
        for file in re.findall(
            r"(?<![\w/.])((?:bench|tests|tools|deploy|examples|clusterip)/[\w./-]+\w)", text
        ):
            assert (ROOT / file).exists() or not re.search(r"\.\w+$", file), f"{path.name}: {file}"


_NAME = re.compile(r"[\"']((?:[a-z0-9-]+\.)*(?:kubernetes\.io|k8s\.io|clusterip\.local)/[\w.-]*\w)-?[\"']")
_NO_LABELS = {
    # Types of Secrets, signers, kinds of tokens and credentials, images, and names in longer texts.
    *("kubernetes.io/basic-auth", "kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson"),
    *("kubernetes.io/service-account-token", "kubernetes.io/ssh-auth", "kubernetes.io/tls"),
    *("kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"),
    *("kubernetes.io/kubelet-serving", "kubernetes.io/legacy-unknown", "bootstrap.kubernetes.io/token"),
    *("client.authentication.k8s.io/exec", "authentication.kubernetes.io/credential-id"),
    *("authentication.kubernetes.io/node-name", "clusterip.local/echo", "clusterip.local/host"),
}


def test_labels_and_annotations_are_those_of_the_code() -> None:
    found: set[str] = set()
    for path in (ROOT / "clusterip").rglob("*.py"):
        found |= {name for name in _NAME.findall(path.read_text()) if not re.search(r"/v\d", name)}
    page = (ROOT / "docs/labels.md").read_text()
    missing = {name for name in found - _NO_LABELS if name not in page}
    assert not missing, "describe them in docs/labels.md, or say in this test that they are no labels"
    source = "".join(path.read_text() for path in (ROOT / "clusterip").rglob("*.py"))
    described = set(
        re.findall(r"`([a-z0-9.-]+\.?(?:kubernetes\.io|k8s\.io|clusterip\.local)/[\w.-]+)`", page)
    )
    assert {name for name in described if name not in source and not name.endswith("ROLE")} == set()


def test_the_architecture_has_every_folder_and_every_dependency() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    package = ROOT / "clusterip"
    for path in [*package.glob("*/"), *package.glob("*/*/")]:
        if (path / "__init__.py").exists():
            names = {f"`{path.relative_to(package)}/`", f"`{path.name}/`"}
            assert any(name in page for name in names), f"{path}: describe it in docs/architecture.md"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for requirement in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        name = re.split(r"[^\w.-]", requirement)[0]
        assert re.search(rf"\b{re.escape(name)}\b", page), f"why {name}? Say it in docs/architecture.md"
