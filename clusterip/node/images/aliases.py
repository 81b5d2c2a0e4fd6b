"""Names that stand for others: a machine without a registry runs what it has instead.

``registry.k8s.io/pause:3.10=local/pause:1`` is for one image, and ``registry.k8s.io/=local/`` for all whose
names begin so; of several the longest counts. They are in ``aliases.json`` of the image store.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from clusterip.node.files import write_atomic
from clusterip.node.images.reference import InvalidReference, parse


class Aliases:
    """The aliases of an image store."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "aliases.json"

    def all(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}

    def set(self, definition: str) -> tuple[str, str]:
        """Add ``NAME=TARGET``, or with an empty target remove NAME; both as they are kept.

        Raises:
            InvalidReference: a name cannot be one of an image.
        """
        name, equals, target = definition.partition("=")
        if not name or not equals:
            raise InvalidReference(f"{definition!r} is no alias; give NAME=TARGET")
        if target and name.endswith("/") != target.endswith("/"):
            raise InvalidReference(
                f"{definition!r}: either both are beginnings of names, with / at the end, or none"
            )
        if not name.endswith("/"):
            name, target = str(parse(name)), str(parse(target)) if target else ""
        aliases = self.all()
        if target:
            aliases[name] = target
        else:
            aliases.pop(name, None)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file, msgspec.json.format(msgspec.json.encode(aliases)))
        return name, target

    def resolve(self, name: str) -> str:
        """What an image's name stands for; itself if it is no alias. Raises InvalidReference."""
        full = str(parse(name))
        aliases = self.all()
        if full in aliases:
            return aliases[full]
        prefixes = [each for each in aliases if each.endswith("/") and full.startswith(each)]
        if not prefixes:
            return name
        prefix = max(prefixes, key=len)
        return aliases[prefix] + full.removeprefix(prefix)
