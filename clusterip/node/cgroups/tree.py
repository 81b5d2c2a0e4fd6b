"""The cgroups of a node's Pods: ``kubepods``, in it each quality of service, in that Pods, then containers.

Guaranteed Pods are in ``kubepods`` itself. Where a machine has a hierarchy for each controller (version 1) a
cgroup is a directory in each of them. Their names are written beside what they are of, so that an agent that
is started elsewhere, or ``clusterip down``, finds them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clusterip.kernel.cgroups import Hierarchy, hierarchies
from clusterip.node.cgroups import files
from clusterip.node.cgroups.limits import LEAST_SHARES, MOST_SHARES, Limits, weight
from clusterip.node.files import write_atomic

WANTED = {
    "cpu": "cpu requests and limits",
    "memory": "memory limits",
    "pids": "limits of processes",
}
"""The controllers, and what is not enforced without them."""

_COUNTING = "cpuacct"  # of version 1: how much processor time is used
_TOP = "kubepods"
_FILE = "cgroups"  # beside what it is of: the directories, one a line
_ATTEMPTS = 5


@dataclass(frozen=True)
class Place:
    """Where Pods' cgroups are in one hierarchy, and the controllers that they get there."""

    version: int
    base: Path
    controllers: tuple[str, ...]

    def pod(self, uid: str, quality: str) -> Path:
        level = {"Burstable": "burstable", "BestEffort": "besteffort"}.get(quality, "")
        return self.base / _TOP / level / f"pod{uid}"


class PodCgroups:
    """Makes and removes them. ``missing`` are controllers that are not to be had, and why."""

    def __init__(self, root: str = "", *, enabled: bool = True) -> None:
        """``root`` is the cgroup below which they are to be, in the hierarchies that have one of that name;
        in others, and by default, it is the agent's own."""
        self.missing: dict[str, str] = {}
        self.places: list[Place] = []
        if not enabled:
            return
        wanted = {*WANTED, _COUNTING}
        for hierarchy in hierarchies():
            names = tuple(sorted(wanted & hierarchy.controllers))
            if names and (place := self._place(hierarchy, names, root)):
                self.places.append(place)
                wanted -= set(names)
        for name in WANTED:
            if name in wanted:
                self.missing.setdefault(name, "this machine has no such cgroup controller")

    def _place(self, hierarchy: Hierarchy, names: tuple[str, ...], root: str) -> Place | None:
        """The first place where Pods can have cgroups with these controllers."""
        given = hierarchy.root / root.lstrip("/")
        bases = [given if root and given.is_dir() else hierarchy.own]
        if not root and hierarchy.version == 2:
            # Below a cgroup that processes are in, the kernel gives out no controllers.
            bases.append(hierarchy.root)
        for base in bases:
            place = Place(hierarchy.version, base, names)
            try:
                self._make(place, base / _TOP)
            except OSError as error:
                why = f"no cgroup can be made in {base}: {error.strerror or error}"
                self.missing |= dict.fromkeys(names, why)
                continue
            files.remove(base / _TOP)
            self.missing = {key: why for key, why in self.missing.items() if key not in names}
            return place
        return None

    def make_pod(self, uid: str, quality: str, limits: Limits, directory: Path) -> None:
        """Have the cgroups of a Pod whose files are in ``directory``. Raises OSError."""
        paths = [place.pod(uid, quality) for place in self.places]
        if paths:
            _note(
                directory, paths
            )  # first: where there is no room for that, nothing is made that nobody knows
        for place, path in zip(self.places, paths, strict=True):
            self._make(place, path)
            files.write_limits(path, place.version, limits)
        self._share()

    def make_container(self, id: str, limits: Limits, pod: Path, directory: Path) -> list[Path]:
        """Have the cgroups of a container within those of its Pod, by the directories of their files.

        Raises:
            OSError: they cannot be made.
        """
        paths = [parent / id for parent in noted(pod)]
        if paths:
            _note(directory, paths)
        for path in paths:
            path.mkdir(exist_ok=True)
            files.write_limits(path, 2 if (path / "cgroup.controllers").exists() else 1, limits)
        return paths

    def remove_pod(self, directory: Path) -> None:
        """Remove the cgroups of a Pod that has ended. Harmless if it has none."""
        remove_pod(directory)
        self._share()

    def _make(self, place: Place, path: Path) -> None:
        """Make a cgroup and all above it; another node's agent may remove an empty one meanwhile."""
        steps = [path, *(each for each in path.parents if each.is_relative_to(place.base))]
        for attempt in range(_ATTEMPTS):
            try:
                for each in reversed(steps):
                    each.mkdir(exist_ok=True)
                    if place.version == 2:
                        words = " ".join(f"+{name}" for name in place.controllers)
                        (each / "cgroup.subtree_control").write_text(words)
                return
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise

    def _share(self) -> None:
        """Divide the processor between the qualities of service, as their Pods have asked for it."""
        for place in self.places:
            if "cpu" not in place.controllers:
                continue
            top = place.base / _TOP
            asked = sum(_shares(each) for each in top.glob("burstable/pod*"))
            wanted = {
                top: (os.cpu_count() or 1) * 1024,
                top / "besteffort": LEAST_SHARES,
                top / "burstable": min(MOST_SHARES, max(LEAST_SHARES, asked)),
            }
            for path, shares in wanted.items():
                with contextlib.suppress(OSError):  # there is none without Pods in it
                    files.write_limits(path, place.version, Limits(cpu_shares=shares))


def noted(directory: Path) -> list[Path]:
    """The cgroups of what has its files in a directory; none if it has none."""
    try:
        return [Path(line) for line in (directory / _FILE).read_text().splitlines()]
    except OSError:
        return []


def remove_container(directory: Path) -> None:
    """Remove the cgroups of a container that has ended, by the directory of its files."""
    for path in noted(directory):
        files.remove(path)
    (directory / _FILE).unlink(missing_ok=True)


def remove_pod(directory: Path) -> None:
    """Remove the cgroups of a Pod that has ended, by the directory of its files, and those empty without."""
    for path in noted(directory):
        for child in path.glob("*/"):
            files.remove(child)
        files.remove(path)
        for parent in path.parents:
            if _TOP in parent.parts:
                files.remove(parent)
    (directory / _FILE).unlink(missing_ok=True)


def _note(directory: Path, paths: Iterable[Path]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write_atomic(directory / _FILE, "".join(f"{path}\n" for path in paths))


def _shares(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int((path / "cpu.shares").read_text())
    with contextlib.suppress(OSError, ValueError):
        found = int((path / "cpu.weight").read_text())
        return LEAST_SHARES + (found - weight(LEAST_SHARES)) * 262_142 // 9999
    return 0
