"""User namespaces: who we are in one, and which users it has. See user_namespaces(7).

In a user namespace its root may do to the namespaces made below it what root may do to the machine's. It
has as many users as were mapped into it: those of /etc/subuid where newuidmap(1) is installed, else one.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

_WHOLE = [(0, 0, 4294967295)]


@dataclass(frozen=True)
class Range:
    """Subordinate ids of a user: ``count`` of them from ``first``."""

    first: int
    count: int


def is_in_user_namespace() -> bool:
    """Whether this process is in another user namespace than the machine's own."""
    return bool(_map("uid")) and _map("uid") != _WHOLE


def is_mapped(kind: str, number: int) -> bool:
    """Whether there is a user (``kind`` "uid") or group ("gid") of that number in our namespace."""
    return not _map(kind) or any(first <= number < first + count for first, _outer, count in _map(kind))


def largest(kind: str) -> int:
    """The largest id such that it and all below it are mapped; -1 if not even 0 is."""
    end = 0
    for first, _outer, count in sorted(_map(kind) or _WHOLE):
        if first > end:
            break
        end = max(end, first + count)
    return end - 1


@functools.cache
def _map(kind: str) -> list[tuple[int, int, int]]:
    """(first inside, first outside, count) of each range; empty where the kernel has no such namespaces."""
    try:
        lines = Path(f"/proc/self/{kind}_map").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [(int(first), int(outer), int(count)) for first, outer, count in map(str.split, lines)]


def subordinate(kind: str) -> Range | None:
    """The ids that /etc/subuid ("uid") or /etc/subgid ("gid") gives to our user, the largest range."""
    names = {str(os.getuid())}
    with contextlib.suppress(KeyError):
        names.add(pwd.getpwuid(os.getuid()).pw_name)
    found = []
    try:
        lines = Path(f"/etc/sub{kind}").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, numbers = line.partition(":")
        first, _, count = numbers.partition(":")
        if name in names and first.isdigit() and count.isdigit():
            found.append(Range(int(first), int(count)))
    return max(found, key=lambda each: each.count, default=None)


def map_users(pid: int) -> str | None:
    """Map our user to root, and our subordinate ids above it, in the user namespace that ``pid`` just made.

    Returns:
        None if all could be mapped, else why there is only root.
    Raises:
        OSError: not even our own user could be mapped.
    """
    why = _map_by_helpers(pid)
    if why is not None:
        Path(f"/proc/{pid}/setgroups").write_text("deny")
        Path(f"/proc/{pid}/uid_map").write_text(f"0 {os.geteuid()} 1")
        Path(f"/proc/{pid}/gid_map").write_text(f"0 {os.getegid()} 1")
    return why


def _map_by_helpers(pid: int) -> str | None:
    ranges = {"uid": subordinate("uid"), "gid": subordinate("gid")}
    missing = [f"/etc/sub{kind}" for kind, found in ranges.items() if found is None]
    if missing:
        return f"{' and '.join(missing)} give this user no ids"
    for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
        helper, ids = shutil.which(f"new{kind}map"), ranges[kind]
        assert ids is not None
        if helper is None:
            return f"new{kind}map is not installed (Debian: apt-get install uidmap)"
        command = [helper, str(pid), "0", str(own), "1", "1", str(ids.first), str(ids.count)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            # The group's map is the second: by then there is one of users, which cannot be made again.
            if kind == "gid":
                raise OSError(f"newgidmap: {done.stderr.strip()}")
            return f"newuidmap: {done.stderr.strip()}"
    return None
