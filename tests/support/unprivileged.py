"""A user without rights, for commands that must not need any.

    python -m tests.support.unprivileged UID [--file=SOURCE=TARGET]... [--no-namespaces] -- COMMAND...

Runs the command as that user, in a mount namespace where Python, this project and programs that the command
names can be read even if they are below a directory that others may not enter, and where files such as
/etc/subuid may have other contents; or where the kernel does not let users make namespaces.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_FORBID = "--no-namespaces"
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 1 << 18
ROOT = Path(__file__).parents[2]

_libc = ctypes.CDLL(None, use_errno=True)


def command(
    uid: int, *words: str, files: dict[Path, str] | None = None, namespaces: bool = True
) -> list[str]:
    """The command line that runs ``words`` as user ``uid``; ``files`` take the place of others."""
    options = [f"--file={source}={target}" for source, target in (files or {}).items()]
    if not namespaces:
        options.append("--no-namespaces")
    return [sys.executable, "-m", "tests.support.unprivileged", str(uid), *options, "--", *words]


def main() -> None:
    split = sys.argv.index("--")
    uid, options, words = int(sys.argv[1]), sys.argv[2:split], sys.argv[split + 1 :]
    if _libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("", "/", "", _MS_REC | _MS_PRIVATE)
    _open_ways([Path(sys.base_prefix), Path(sys.prefix), ROOT, *_programs(words)])
    if _FORBID in options:
        options.remove(_FORBID)
        _forbid_namespaces()
    for option in options:
        source, _, target = option.removeprefix("--file=").partition("=")
        _mount(source, target, "", _MS_BIND)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.execvp(words[0], words)


def _forbid_namespaces() -> None:
    """Go on in a user namespace that has the machine's users, and may not have another below it."""
    reader, writer = os.pipe()
    mapper = os.fork()  # who is outside may map all
    if mapper == 0:
        os.close(writer)
        os.read(reader, 1)
        for kind in ("uid", "gid"):
            Path(f"/proc/{os.getppid()}/{kind}_map").write_text("0 0 4294967295")
        os._exit(0)
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.close(writer)
    os.waitpid(mapper, 0)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _programs(words: list[str]) -> list[Path]:
    paths = [Path(word) for word in words if word.startswith("/")]
    return [path for path in paths if path.is_file() and os.access(path, os.X_OK)]


def _open_ways(places: list[Path]) -> None:
    """Cover directories that others may not enter, so that only the way to each place is left of them."""
    opened = [(place, os.open(place, os.O_PATH)) for place in places]
    for place, descriptor in opened:
        for parent in reversed(place.parents):
            if parent.exists() and not parent.stat().st_mode & 0o001:
                _mount("tmpfs", str(parent), "tmpfs", 0, "mode=0755")
        if not place.exists():
            source = Path(f"/proc/self/fd/{descriptor}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir() if source.is_dir() else place.touch()
            _mount(str(source), str(place), "", _MS_BIND | _MS_REC)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    if _libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


if __name__ == "__main__":
    main()
