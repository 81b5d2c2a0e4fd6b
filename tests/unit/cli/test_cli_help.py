"""What commands say of themselves: examples that can be typed, the manual page, completion."""

from __future__ import annotations

import inspect
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clusterip.cli.main import COMMANDS, load, main
from tools import manual
from tools.command_help import parts

PROGRAM = Path(sys.executable).parent / "clusterip"


def all_commands() -> Iterator[click.Context]:
    root = click.Context(main, info_name="clusterip")
    yield root
    for commands in COMMANDS.values():
        for name in commands:
            yield from _with_parts(click.Context(load(name), root, name))


def _with_parts(context: click.Context) -> Iterator[click.Context]:
    yield context
    for part in parts(context):
        yield from _with_parts(part)


CONTEXTS = list(all_commands())


def examples(context: click.Context) -> list[str]:
    """The lines under "Examples:"."""
    _, found, text = inspect.cleandoc(context.command.help or "").partition("\n\b\nExample")
    assert found, f"{context.command_path} has no examples"
    return [line.strip() for line in text.partition("\n\n")[0].splitlines()[1:]]


@pytest.mark.parametrize("context", CONTEXTS, ids=[each.command_path for each in CONTEXTS])
def test_help_has_examples_that_are_right(context: click.Context) -> None:
    lines = examples(context)
    assert lines
    assert any(context.command_path in line for line in lines)
    for line in lines:
        for words in commands_in(line):
            if words[0] == "clusterip":
                parses(words[1:])


def commands_in(line: str) -> Iterator[list[str]]:
    """The commands of a line of shell, also those in `$(...)`, without redirections."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    reader.whitespace_split = True
    words: list[str] = []
    for token in [*reader, ";"]:
        if set(token) <= set("();|&") or token in ("<(", "<", ">"):
            if words:
                yield words
            words = []
        elif token.startswith("$("):
            yield from commands_in(token[2:-1])
        else:
            words.append(token)


def parses(words: list[str]) -> None:
    """Fails unless `clusterip` takes these words."""
    command: click.Command = main
    context = click.Context(main, info_name="clusterip")
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    if any(map(_is_file, command.params)):  # only its options can be looked at: its files are not here
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"} <= known
        return
    command.make_context(command.name, list(words), parent=context)


def _is_file(parameter: click.Parameter) -> bool:
    return isinstance(parameter.type, click.Path | click.File)


def test_the_manual_page_is_up_to_date() -> None:
    assert manual.PAGE.read_text() == manual.page(), "run: python -m tools.manual"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def complete(line: str, environment: dict[str, str]) -> list[str]:
    """What bash offers for a line, its last word being typed."""
    words = shlex.join(line.split(" "))
    script = f"""
        eval "$(clusterip completion bash)"
        COMP_WORDS=({words}) COMP_CWORD={line.count(" ")}
        _clusterip_completion clusterip
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


def test_bash_completes_commands_options_and_kinds(tmp_path: Path) -> None:
    nowhere = {"KUBECONFIG": str(tmp_path / "none")}
    assert complete("clusterip ge", nowhere) == ["get"]
    assert complete("clusterip get endpoints", nowhere) == ["endpoints", "endpointslices"]
    assert complete("clusterip get deploy", nowhere) == ["deployments"]
    assert complete("clusterip get pods,servicec", nowhere) == ["pods,servicecidrs"]
    assert complete("clusterip get --all", nowhere) == ["--all-namespaces"]
    assert complete("clusterip trace --from n", nowhere) == ["node/"]
    assert complete("clusterip get services x", nowhere) == [], "no cluster: nothing, and no error"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert "_CLUSTERIP_COMPLETE" in done.stdout


def test_typos_are_met_with_suggestions() -> None:
    assert "Did you mean 'status'" in run("stats").stderr
    assert "Did you mean '--nodes'" in run("up", "--node").stderr or "--nodes" in run("up", "--node").stderr


def test_no_color_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, colours in (("", None), ("1", False)):
        monkeypatch.setenv("NO_COLOR", value)
        with main.make_context("clusterip", ["version"]) as context:
            context.invoke(main.callback)
            assert context.color is colours
