"""Where this machine's cgroup controllers are, of version 1 and of version 2. See cgroups(7)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_OWN = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Hierarchy:
    """A tree of cgroups. ``root`` is the topmost that we see of it, ``own`` the one that we are in.

    ``controllers`` are those that it could give to cgroups below ``own``.
    """

    version: int
    root: Path
    own: Path
    controllers: frozenset[str]


def hierarchies() -> list[Hierarchy]:
    """Those that are mounted here, once each."""
    own = dict(_own_cgroups())
    found: dict[str, Hierarchy] = {}
    for line in _MOUNTS.read_text(errors="surrogateescape").splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _source, options = (*rest.split(" ", 2), "", "")[:3]
        if kind not in ("cgroup", "cgroup2"):
            continue
        top, target = (each.replace("\\040", " ") for each in fields.split(" ")[3:5])
        root = Path(target)
        if kind == "cgroup2":
            place = _below(root, top, own.get("", "/"))
            found.setdefault("", Hierarchy(2, root, place, _offered(place)))
            continue
        names = frozenset(name for name in options.split(",") if name in own)
        if names:
            place = _below(root, top, own[min(names)])
            found.setdefault(min(names), Hierarchy(1, root, place, names))
    return list(found.values())


def _own_cgroups() -> list[tuple[str, str]]:
    """Each controller of version 1, and ``""`` for version 2, with the path of our cgroup."""
    found = []
    for line in _OWN.read_text().splitlines():
        _number, names, path = line.split(":", 2)
        found += [(name, path) for name in names.split(",")]
    return found


def _below(root: Path, top: str, path: str) -> Path:
    """The directory of the cgroup ``path`` where the cgroup ``top`` is seen at ``root``."""
    relative = path.removeprefix(top.rstrip("/")) if path.startswith(top) else ""
    place = root / relative.lstrip("/")
    return place if place.is_dir() else root


def _offered(place: Path) -> frozenset[str]:
    try:
        return frozenset((place / "cgroup.controllers").read_text().split())
    except OSError:
        return frozenset()
