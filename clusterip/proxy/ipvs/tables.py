"""Writing the nftables half of the mode with ``nft``, as one transaction each time."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendOptions
from clusterip.proxy.ipvs.rules import TABLE, Element, definition


class NftError(Exception):
    """nft refused."""


class Tables:
    """The tables of some families. Elements are counted: several Service ports may want the same one."""

    def __init__(
        self, families: Iterable[Family], options: BackendOptions, started: Callable[[int], None]
    ) -> None:
        self._families = sorted(families)
        self._options = options
        self._started = started
        self._held: dict[Family, Counter[Element]] = {family: Counter() for family in self._families}

    def create(self, wanted: Mapping[Family, Iterable[Element]]) -> None:
        """Make the tables anew, with these elements, at one instant. Raises NftError."""
        parts = []
        for family in self._families:
            keyword = family.keyword
            self._held[family] = held = Counter(wanted.get(family, ()))
            parts += [f"table {keyword} {TABLE}\n", f"delete table {keyword} {TABLE}\n"]
            parts.append(definition(family, self._options))
            parts += _lines("add", family, held)
        self._run("".join(parts))

    def add(self, family: Family, elements: Iterable[Element]) -> None:
        """Raises NftError."""
        held = self._held.get(family)
        if held is None:
            return
        new = [element for element in elements if not held[element]]
        self._run("".join(_lines("add", family, new)))
        held.update(elements)

    def remove(self, family: Family, elements: Iterable[Element]) -> None:
        """Raises NftError."""
        held = self._held.get(family)
        if held is None:
            return
        held.subtract(elements)
        gone = [element for element in elements if held[element] <= 0]
        for element in gone:
            del held[element]
        self._run("".join(_lines("delete", family, gone)))

    def _run(self, text: str) -> None:
        if text:
            run(text, self._started)


def run(text: str, started: Callable[[int], None] | None = None) -> None:
    """Have ``nft`` do it. Raises NftError."""
    try:
        process = subprocess.Popen(
            ["nft", "-f", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise NftError(f"cannot run nft: {error.strerror}") from None
    if started is not None:
        started(process.pid)
    _, said = process.communicate(text.encode())
    if process.returncode:
        raise NftError(said.decode(errors="replace").strip())


def _lines(verb: str, family: Family, elements: Iterable[Element]) -> list[str]:
    by_set: dict[str, list[str]] = {}
    for element in elements:
        by_set.setdefault(element.set, []).append(element.text)
    return [
        f"{verb} element {family.keyword} {TABLE} {name} {{ {', '.join(texts)} }}\n"
        for name, texts in by_set.items()
    ]
