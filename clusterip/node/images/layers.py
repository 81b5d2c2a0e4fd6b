"""Unpacking a layer into a directory that overlayfs takes as it is.

A layer is a tar file of what it changes. What it deletes it names ``.wh.NAME``; a directory whose
earlier content it hides holds ``.wh..wh..opq``. For overlayfs those become a character device 0/0
and an extended attribute. Archives come from strangers: no name may lead out of the directory.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import re
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any, cast

from clusterip.kernel import users
from clusterip.node.files import UnsafePath, remove_tree, resolve_beneath
from clusterip.node.images.blobs import CHUNK, DigestMismatch
from clusterip.node.images.manifest import Unsupported

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_XATTR = "SCHILY.xattr."
_LAYER_NAME = re.compile(r"\b[0-9a-f]{32}\b")


class _Hashing:
    """Passes on what is read and keeps the SHA-256 of it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.hash.update(data)
        return data

    def drain(self) -> None:
        while self.read(CHUNK):
            pass


class Layers:
    """Unpacked layers, each in a directory named by the first half of its diff ID."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, diff_id: str) -> Path:
        """Where a layer is unpacked. The name is short, as overlayfs takes all of them in one page."""
        return self.directory / diff_id.removeprefix("sha256:")[:32]

    def unpack(self, blob: Path, diff_id: str) -> Path:
        """Unpack a layer unless that was done before.

        Raises:
            DigestMismatch: the uncompressed content is not the layer that ``diff_id`` names.
            UnsafePath: a name in it leads out of the directory.
            Unsupported: its compression is unknown here.
        """
        target = self.path(diff_id)
        if target.is_dir():
            return target
        self.directory.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=self.directory))
        try:
            temporary.chmod(0o755)
            with open(blob, "rb") as raw:
                reader = _Hashing(_decompressed(raw))
                _extract(reader, temporary)
                reader.drain()
            found = f"sha256:{reader.hash.hexdigest()}"
            if found != diff_id:
                raise DigestMismatch(f"layer {blob.name} unpacks to {found} where {diff_id} was promised")
            try:
                temporary.rename(target)
            except OSError:
                if not target.is_dir():  # else another process was quicker, with the same result
                    raise
        finally:
            remove_tree(temporary)
        return target

    def remove_except(self, diff_ids: set[str]) -> None:
        """Remove every layer that is not among ``diff_ids`` and that no container runs on."""
        if not self.directory.is_dir():
            return
        kept = {self.path(diff_id).name for diff_id in diff_ids} | self.mounted()
        for entry in self.directory.iterdir():
            if entry.name not in kept and not entry.name.startswith("."):
                remove_tree(entry)

    def mounted(self) -> set[str]:
        """The names of layers in the overlays of any mount namespace. Each container has one of its own."""
        found: set[str] = set()
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):  # it has just ended
                    for line in (process / "mountinfo").read_text(errors="replace").splitlines():
                        if " overlay " in line:
                            found.update(_LAYER_NAME.findall(line))
        return found


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if magic == b"\x28\xb5\x2f\xfd":
        raise Unsupported("the layer is compressed with zstd; push the image with gzip layers instead")
    return raw


def _extract(source: Any, root: Path) -> None:
    with tarfile.open(fileobj=source, mode="r|") as archive:
        directories: list[tuple[Path, tarfile.TarInfo]] = []
        for member in archive:
            name = member.name.lstrip("/")
            if name in ("", "."):
                continue
            parent, _, base = name.rstrip("/").rpartition("/")
            path = resolve_beneath(root, name.rstrip("/"))
            _make_parent(root, parent, path.parent)
            if base == _OPAQUE:
                os.setxattr(path.parent, _opaque_mark(), b"y")
            elif base.startswith(_WHITEOUT):
                _place_whiteout(path, base.removeprefix(_WHITEOUT))
            else:
                _place(archive, member, path, root)
                if member.isdir():
                    directories.append((path, member))
        # Times last: what is put into a directory changes them.
        for path, member in reversed(directories):
            os.utime(path, (member.mtime, member.mtime))


def _make_parent(root: Path, name: str, path: Path) -> None:
    if path != root and root not in path.parents:
        raise UnsafePath(f'path "{name}" leads out of the layer')
    path.mkdir(parents=True, exist_ok=True)


def _place_whiteout(path: Path, hidden: str) -> None:
    if not hidden or "/" in hidden or hidden in (".", ".."):
        raise UnsafePath(f'whiteout "{path.name}" names nothing')
    target = path.with_name(hidden)
    remove_tree(target)
    os.mknod(target, stat.S_IFCHR | 0o600, os.makedev(0, 0))


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, root: Path) -> None:
    mode = stat.S_IMODE(member.mode)
    if member.isdir():
        if path.is_symlink() or not path.is_dir():
            remove_tree(path)
            path.mkdir()
    else:
        remove_tree(path)
    if member.isreg():
        content = archive.extractfile(member)
        with open(path, "xb") as file:
            while content and (chunk := content.read(CHUNK)):
                file.write(chunk)
    elif member.issym():
        path.symlink_to(member.linkname)
    elif member.islnk():
        os.link(resolve_beneath(root, member.linkname.lstrip("/")), path, follow_symlinks=False)
        return
    elif member.isfifo():
        os.mkfifo(path)
    elif member.ischr() or member.isblk():
        return  # a stranger's way to the machine's own devices; those of /dev are mounted anyway
    elif not member.isdir():
        raise UnsafePath(f'"{member.name}" is of an unknown type ({member.type!r})')
    _give(path, member.uid, member.gid)
    if not member.issym():
        path.chmod(mode)
        _set_attributes(path, member)
        os.utime(path, (member.mtime, member.mtime))


def _give(path: Path, uid: int, gid: int) -> None:
    """Set the owner; in a user namespace without that user, root's files they remain."""
    if users.is_mapped("uid", uid) and users.is_mapped("gid", gid):
        os.lchown(path, uid, gid)


def _opaque_mark() -> str:
    return f"{'user' if users.is_in_user_namespace() else 'trusted'}.overlay.opaque"


def _set_attributes(path: Path, member: tarfile.TarInfo) -> None:
    for key, value in member.pax_headers.items():
        name = key.removeprefix(_XATTR)
        # Only file capabilities and the user's own: an archive must not set overlayfs' marks.
        if key.startswith(_XATTR) and (name == "security.capability" or name.startswith("user.")):
            os.setxattr(path, name, value.encode("utf-8", "surrogateescape"), follow_symlinks=False)
