"""Who a container runs as: user and group names looked up in the image's own files."""

from __future__ import annotations

from pathlib import Path

from clusterip.node.files import follow_beneath
from clusterip.node.images.store import Image
from clusterip.node.runtime.spec import User


class UnknownUser(LookupError):
    """The image names a user or group it does not have."""


def resolve(image: Image, text: str) -> User:
    """The user that ``text`` (``""``, ``1000``, ``app``, ``app:staff``, ``1000:1000``) means in an image.

    Raises:
        UnknownUser: a name in it is not in the image's ``/etc/passwd`` or ``/etc/group``.
    """
    name, _, group = text.partition(":")
    passwd = _entries(image, "etc/passwd")
    groups = _entries(image, "etc/group")
    uid, gid, login = 0, 0, name or "root"
    if name.isdigit():
        uid = int(name)
        for fields in passwd:
            if len(fields) > 3 and fields[2] == name and fields[3].isdigit():
                login, gid = fields[0], int(fields[3])
                break
    elif name:
        found = next((f for f in passwd if len(f) > 3 and f[0] == name and f[2].isdigit()), None)
        if found is None:
            raise UnknownUser(f'unable to find user "{name}": no matching entries in passwd file')
        uid, gid = int(found[2]), int(found[3] or 0)
    if group.isdigit():
        gid = int(group)
    elif group:
        match = next((f for f in groups if len(f) > 2 and f[0] == group and f[2].isdigit()), None)
        if match is None:
            raise UnknownUser(f'unable to find group "{group}": no matching entries in group file')
        gid = int(match[2])
    extra = {int(f[2]) for f in groups if len(f) > 3 and f[2].isdigit() and login in f[3].split(",")}
    return User(uid, gid, tuple(sorted(extra - {gid})))


def home(image: Image, uid: int) -> str:
    """The home directory of a user, ``/`` if the image does not know it."""
    for fields in _entries(image, "etc/passwd"):
        if len(fields) > 5 and fields[2] == str(uid):
            return fields[5] or "/"
    return "/root" if uid == 0 else "/"


def _entries(image: Image, name: str) -> list[list[str]]:
    roots = [Path("/")] if image.layers is None else list(reversed(image.layers))
    for root in roots:
        path = follow_beneath(root, name)
        if path.is_file():
            lines = path.read_text(errors="replace").splitlines()
            return [line.split(":") for line in lines if line and not line.startswith("#")]
    return []
