"""Files of a volume that change all at once, in upstream's layout.

The files lie in a directory with a time in its name; ``..data`` links to it, and each visible file is a
link through ``..data``. Replacing that one link replaces everything, and programs watch for it.
See ``pkg/volume/util/atomic_writer.go``.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterip.node.files import UnsafePath, remove_tree

_DATA = "..data"


@dataclass(frozen=True)
class VolumeFile:
    """``user`` owns it; None: who we are."""

    data: bytes
    mode: int = 0o644
    user: int | None = None


def write(directory: Path, files: Mapping[str, VolumeFile], *, group: int | None = None) -> bool:
    """Make ``directory`` hold exactly ``files`` (by relative path); whether anything changed.

    ``group`` owns them and may read them (``fsGroup``).

    Raises:
        UnsafePath: a path is absolute or has ``..`` in it.
    """
    for name in files:
        if not name or name.startswith(("/", "..")) or ".." in name.split("/"):
            raise UnsafePath(f'"{name}" is no path within a volume')
    directory.mkdir(parents=True, exist_ok=True)
    if _holds(directory / _DATA, files):
        return False
    stamp = time.strftime("..%Y_%m_%d_%H_%M_%S.", time.gmtime())
    fresh = Path(tempfile.mkdtemp(prefix=stamp, dir=directory))
    fresh.chmod(0o755)
    for name, file in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode | (0o040 if group is not None else 0))
        if group is not None or file.user is not None:
            os.chown(path, -1 if file.user is None else file.user, -1 if group is None else group)
    link = directory / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.rename(directory / _DATA)
    _link_visible(directory, {name.split("/", 1)[0] for name in files})
    for entry in directory.iterdir():
        if entry.name.startswith("..2") and entry.name != fresh.name:
            remove_tree(entry)
    return True


def _holds(data: Path, files: Mapping[str, VolumeFile]) -> bool:
    if not data.is_dir():
        return False
    present = {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}
    return present == set(files) and all(
        (data / name).read_bytes() == file.data for name, file in files.items()
    )


def _link_visible(directory: Path, names: set[str]) -> None:
    for name in names:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{_DATA}/{name}")
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            remove_tree(entry)
