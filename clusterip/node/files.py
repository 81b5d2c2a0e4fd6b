"""Files that must be there whole or not at all, and paths that must not lead out of a directory."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

_MAXIMUM_LINKS = 40  # as the kernel: more symbolic links than this in one path are a loop


class UnsafePath(ValueError):
    """A path that would lead out of the directory it belongs to."""


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o644) -> None:
    """Replace a file's content so that a reader, or the next start, sees the old or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    content = data.encode() if isinstance(data, str) else data
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def resolve_beneath(root: Path, name: str) -> Path:
    """Where ``name`` leads when ``root`` is the root directory: links and ``..`` never leave it.

    The last component is not followed, and need not exist.

    Raises:
        UnsafePath: the path has a ``..`` at its own level, or too many symbolic links.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafePath(f'path "{name}" contains ".."')
    return _walk(root, parts, follow_last=False)


def follow_beneath(root: Path, name: str) -> Path:
    """As ``resolve_beneath``, but ``..`` is allowed (it stops at ``root``) and a last link followed."""
    return _walk(root, [part for part in name.split("/") if part not in ("", ".")], follow_last=True)


def _walk(root: Path, parts: list[str], *, follow_last: bool) -> Path:
    pending = list(reversed(parts))
    walked: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            del walked[-1:]
            continue
        walked.append(part)
        if not pending and not follow_last:
            break
        try:
            target = os.readlink(root.joinpath(*walked))
        except OSError:  # not a link, or not there: then it stands for itself
            continue
        links += 1
        if links > _MAXIMUM_LINKS:
            raise UnsafePath(f'path "{"/".join(parts)}" has too many symbolic links')
        walked = [] if target.startswith("/") else walked[:-1]
        pending += [p for p in reversed(target.split("/")) if p not in ("", ".")]
    return root.joinpath(*walked)


def remove_tree(path: Path) -> None:
    """Remove a directory with all it holds, or a file. Harmless if there is none.

    Raises:
        OSError: something in it could not be removed, for example because it is mounted on.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(path, onerror=_unless_gone)
    else:
        path.unlink(missing_ok=True)


def _unless_gone(
    _function: object, _path: str, failure: tuple[type[BaseException], BaseException, Any]
) -> None:
    if not isinstance(failure[1], FileNotFoundError):  # else somebody removes the same at the same time
        raise failure[1]
