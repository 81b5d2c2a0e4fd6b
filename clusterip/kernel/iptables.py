"""The iptables programs: which there are, reading tables with ``-save``, changing them with ``-restore``.

There are two kernels behind one name. *nft* (``iptables-nft``) writes rules that nftables runs; *legacy*
(``iptables-legacy``) replaces whole tables through an older interface. A packet passes the rules of both, and
a program of one kind does not see those of the other.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clusterip.kernel.nftables import Family

NFT = "nft"
LEGACY = "legacy"

Rules = dict[str, list[str]]
"""A table's chains: the rules of each as ``-save`` prints them, without ``-A CHAIN``."""

_LOCK_SECONDS = "5"
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?: \((\w+)\))?")
_LINE = re.compile(r"[Ll]ine:? (\d+)")
_LEGACY_TABLES = {
    Family.IPV4: "/proc/thread-self/net/ip_tables_names",
    Family.IPV6: "/proc/thread-self/net/ip6_tables_names",
}


class IptablesError(Exception):
    """An iptables program failed. ``line`` is the input line it names (from 1), 0 for none."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Iptables:
    """The programs of one kind and family. They work on the namespace of the thread that calls."""

    family: Family
    kind: str
    name: str
    """``iptables-nft`` and the like; the programs are this with ``-save`` and ``-restore``."""
    version: tuple[int, int, int]

    @property
    def has_random_fully(self) -> bool:
        """Whether ``MASQUERADE --random-fully`` is known: since 1.6.2."""
        return self.version >= (1, 6, 2)

    def save(self, *tables: str) -> dict[str, Rules]:
        """What the tables hold; those the kernel does not have are left out. Raises IptablesError."""
        if self.kind == LEGACY:
            # To ask for a table makes it, and loads modules: look first.
            tables = tuple(table for table in tables if table in legacy_tables(self.family))
        found: dict[str, Rules] = {}
        for table in tables:
            found |= parse(self._run(f"{self.name}-save", "-t", table))
        return found

    def check(self, table: str) -> None:
        """Raises IptablesError: the table cannot be used here."""
        self._run(self.name, "-t", table, "-S")

    def restore(self, text: str, started: Callable[[int], None] | None = None) -> None:
        """Make the changes that ``text`` says, each table at one instant.

        ``started`` is called with the id of the process before that changes anything.

        Raises:
            IptablesError: of the table it stopped at nothing was changed.
        """
        command = [f"{self.name}-restore", "--noflush", "--counters"]
        if self.version >= (1, 6, 2):
            command += ["--wait", _LOCK_SECONDS]
        self._restore(command, text, started)

    def _restore(self, command: list[str], text: str, started: Callable[[int], None] | None) -> None:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        except OSError as error:
            raise IptablesError(f"cannot run {command[0]}: {error.strerror}") from None
        if started is not None:
            started(process.pid)
        output, _ = process.communicate(text.encode())
        if process.returncode:
            said = " ".join(output.decode(errors="replace").split())
            number = int(found[1]) if (found := _LINE.search(said)) else 0
            rule = text.splitlines()[number - 1] if 0 < number <= text.count("\n") else ""
            raise IptablesError(f"{said or command[0]}{f' ({rule})' if rule else ''}", number)

    def _run(self, *command: str) -> str:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise IptablesError(f"cannot run {command[0]}: {error.strerror}") from None
        if done.returncode:
            raise IptablesError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


def parse(saved: str) -> dict[str, Rules]:
    """The tables in the output of ``-save``."""
    tables: dict[str, Rules] = {}
    rules: Rules = {}
    for line in saved.splitlines():
        first = line[:1]
        if first == "-":
            _, chain, rule = line.split(" ", 2) if line.count(" ") > 1 else (*line.split(" "), "")
            rules[chain].append(rule)
        elif first == ":":
            rules[line[1:].split(" ", 1)[0]] = []
        elif first == "*":
            rules = tables.setdefault(line[1:], {})
    return tables


def legacy_tables(family: Family) -> set[str]:
    """The tables of the older interface that this namespace uses."""
    try:
        return set(Path(_LEGACY_TABLES[family]).read_text().split())
    except OSError:
        return set()


def every(family: Family) -> list[Iptables]:
    """All programs of a family that are installed, ``nft`` first."""
    prefix = "iptables" if family is Family.IPV4 else "ip6tables"
    found = [_look(family, f"{prefix}-{kind}") for kind in (NFT, LEGACY)]
    return [each for each in found if each is not None] or [
        each for each in [_look(family, prefix)] if each is not None
    ]


def choose(family: Family, hints: Iterable[str]) -> Iptables | None:
    """The programs to use: of the kind whose ``mangle`` table has one of the chains ``hints``.

    That is how programs in containers find out what the host uses. With no hint, the kind that ``iptables``
    itself is. None: there are none. Upstream: kubernetes-sigs/iptables-wrappers.
    """
    installed = every(family)
    for each in installed:
        try:
            chains = each.save("mangle").get("mangle", {})
        except IptablesError:
            continue
        if any(hint in chains for hint in hints):
            return each
    plain = _look(family, "iptables" if family is Family.IPV4 else "ip6tables")
    for each in installed:
        if plain is not None and each.kind == plain.kind:
            return each
    return installed[0] if installed else None


@cache
def _look(family: Family, name: str) -> Iptables | None:
    if shutil.which(f"{name}-save") is None or shutil.which(f"{name}-restore") is None:
        return None
    try:
        # With an input that ends at once: very old versions take --version for no option, and read.
        done = subprocess.run(
            [f"{name}-restore", "--version"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return None
    found = _VERSION.search(done.stdout)
    if found is None:
        return None
    kind = NFT if found[4] == "nf_tables" else LEGACY
    return Iptables(family, kind, name, (int(found[1]), int(found[2]), int(found[3])))
