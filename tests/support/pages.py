"""Runs the commands of a page of the documentation, in order, and compares what they print with the page.

A page's commands are in fences of the language ``console``, after a prompt ``# `` or ``$ ``, and go on in
the next line after a backslash; the rest is output. What differs from run to run is declared as a
``Variable``. Two outputs are equal if they have variables of the same kind at the same places, and if what
the page calls by one name is one thing in the run too: a command that names a Service's address is run with
the address that the Service has got.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_FENCE = re.compile(r"^ *```(\w*)$")
_PROMPTS = ("# ", "$ ")
_LOOKS = ("kubectl get", "curl", "dig", "clusterip", "nft", "sqlite3", "for ", "kubectl exec")
_PATIENCE = 15.0
"""Seconds for which a command that only looks is repeated: what it looks at comes about by itself."""


@dataclass(frozen=True)
class Variable:
    """A part of an output that differs from run to run.

    ``tie`` says what values have to do with each other: ``each`` value of the page stands for one of the run;
    ``among`` them any that is known by now, as the answer of one of several Pods is; or ``none``.
    """

    name: str
    pattern: str
    tie: str = "none"


@dataclass(frozen=True)
class Step:
    """A command of a page, and what the page says it prints."""

    line: int
    command: str
    output: str


def steps(page: Path) -> list[Step]:
    """The commands of a page, in order."""
    found: list[Step] = []
    language: str | None = None
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if fence := _FENCE.match(line):
            language = fence[1] if language is None else None
        elif language == "console":
            if line.startswith(_PROMPTS):
                found.append(Step(number, line[2:], ""))
            elif (last := found[-1]).command.endswith("\\"):
                found[-1] = Step(last.line, f"{last.command}\n{line}", "")
            else:
                found[-1] = Step(last.line, last.command, f"{last.output}{line}\n")
    return found


class Shell:
    """A bash that runs one command after the other, as a person's does: what one sets, the next one has."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=directory,
            text=True,
        )

    def run(self, command: str) -> str:
        """What a command prints, on either output, until it has ended."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        end = f"end-{secrets.token_hex(8)}"
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\necho {end}\n")
        self._bash.stdin.flush()
        printed = ""
        for line in self._bash.stdout:
            before, found, _ = line.partition(end)
            printed += before
            if found:
                return printed
        raise AssertionError(f"the shell ended within: {command}\n{printed}")

    def close(self) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        self._bash.wait()


@dataclass
class Session:
    """One run of a page.

    ``places`` are texts that stand for others in this run, as ``/var/lib/clusterip`` for a test's directory.
    ``left_out`` is what only this run's outputs have, as options that a person does not need. ``unordered``
    are commands whose lines come in any order, ``instead`` has what is run in a command's place.
    """

    shell: Shell
    variables: Sequence[Variable]
    places: Mapping[str, str] = field(default_factory=dict)
    left_out: str = ""
    unordered: frozenset[str] = frozenset()
    instead: Mapping[str, str] = field(default_factory=dict)
    _known: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, page: Path) -> None:
        """Run all commands. Raises AssertionError at the first one that prints something else."""
        for step in steps(page):
            self._run(step, page)

    def _run(self, step: Step, page: Path) -> None:
        command = self._here(self.instead.get(step.command.split("  #")[0].strip(), step.command))
        deadline = time.monotonic() + _PATIENCE
        while True:
            printed = self.shell.run(command)
            if self.left_out:
                printed = printed.replace(self.left_out, "")
            for ours, theirs in self.places.items():
                printed = printed.replace(theirs, ours)
            difference = self._compare(step, printed)
            if difference is None:
                return
            if not step.command.startswith(_LOOKS) or time.monotonic() > deadline:
                raise AssertionError(f"{page}:{step.line}: {command}\n{difference}\nIt printed:\n{printed}")
            time.sleep(0.1)

    def _here(self, command: str) -> str:
        """The page's command with what its names and places stand for."""
        command = self._pattern.sub(self._standing_for, command)
        for ours, theirs in self.places.items():
            command = command.replace(ours, theirs)
        return command

    def _standing_for(self, match: re.Match[str]) -> str:
        (variable,) = (each for each in self.variables if _group(each) == match.lastgroup)
        return self._known.get(variable.name, {}).get(match[0], match[0])

    def _compare(self, step: Step, printed: str) -> str | None:
        """What is different, or None after learning what new names stand for."""
        wanted, actual = self._lines(step, step.output), self._lines(step, printed)
        if wanted and wanted[-1][0] == "…":
            wanted.pop()
            del actual[len(wanted) :]
        for theirs, ours in zip(wanted, actual, strict=False):
            if theirs[0] != ours[0]:
                return f"the page: {theirs[0]}\nthe run:  {ours[0]}"
        if len(wanted) != len(actual):
            return f"the page has {len(wanted)} lines, the run {len(actual)}"
        pairs = [
            (kind, page_value, run_value)
            for (_, theirs), (_, ours) in zip(wanted, actual, strict=True)
            for (kind, page_value), (_, run_value) in zip(theirs, ours, strict=True)
        ]
        known = {name: dict(values) for name, values in self._known.items()}
        for kind in self.variables:
            if kind.tie != "none":
                of_kind = [(theirs, ours) for each, theirs, ours in pairs if each is kind]
                if difference := _learn(known.setdefault(kind.name, {}), of_kind, kind):
                    return difference
        self._known = known
        return None

    def _lines(self, step: Step, text: str) -> list[tuple[str, list[tuple[Variable, str]]]]:
        """Each line with names of kinds for variables, and their values."""
        found = [(self._normal(line), self._found(line)) for line in text.splitlines() if line.strip()]
        if step.command.split("  #")[0].strip() in self.unordered:
            found.sort(key=lambda line: line[0])
        return found

    def _normal(self, line: str) -> str:
        line = self._pattern.sub(lambda match: f"<{match.lastgroup}>", line)
        return re.sub(r"  +|\t+", "  ", line).rstrip()

    def _found(self, text: str) -> list[tuple[Variable, str]]:
        by_group = {_group(variable): variable for variable in self.variables}
        return [(by_group[match.lastgroup or ""], match[0]) for match in self._pattern.finditer(text)]

    @property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?P<{_group(each)}>{each.pattern})" for each in self.variables))


def _learn(known: dict[str, str], pairs: list[tuple[str, str]], kind: Variable) -> str | None:
    """Add to what the page's values stand for; what contradicts it, or None."""
    if kind.tie == "each":
        for theirs, ours in pairs:
            if known.setdefault(theirs, ours) != ours:
                return f"{kind.name}: the page's {theirs} is {known[theirs]} here, but the run has {ours}"
        if len({*known.values()}) != len(known):
            return f"{kind.name}: different ones of the page are one here: {known}"
        return None
    new = list(dict.fromkeys(theirs for theirs, _ in pairs if theirs not in known))
    appeared = list(dict.fromkeys(ours for _, ours in pairs if ours not in known.values()))
    if len(appeared) > len(new):
        return f"{kind.name}: the page has nothing for {', '.join(appeared[len(new) :])}"
    known |= zip(new, appeared, strict=False)
    return None


def _group(variable: Variable) -> str:
    return variable.name.replace(" ", "_")


def environment(kubectl: Path, cluster: Mapping[str, str], home: Path) -> dict[str, str]:
    """That of a person's shell: a kubectl on the path, and the cluster's place."""
    own = {name: cluster[name] for name in ("CLUSTERIP_STATE_DIR", "CLUSTERIP_NAME")}
    path = f"{kubectl.parent}:{os.environ.get('PATH', os.defpath)}"
    return {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "PWD": os.getcwd(), **own}
