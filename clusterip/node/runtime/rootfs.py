"""Root file systems: the shell commands that mount one, for the monitor to run.

An image's layers lie under a writable layer on disk. The host's file system lies under a writable
layer in memory: overlayfs cannot have its upper directory below its own lower one.

In a user namespace overlayfs keeps its marks in attributes that users may set, and does not take a lower
directory that has the machine's other mounts in it: of the host each top directory has an overlay then.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from clusterip.kernel import users
from clusterip.node.images.store import Image
from clusterip.node.runtime.spec import Mount, Tmpfs

_SCRATCH_SIZE = "1g"

# What of the host's mounts is not shown in a view of it: the kernel's own file systems, and what is
# of this boot only.
_KERNEL_TYPES = frozenset(
    (
        *("autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs"),
        *("efivarfs", "fuse.lxcfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "overlay", "proc", "pstore"),
        *("ramfs", "rpc_pipefs", "securityfs", "squashfs", "sysfs", "tmpfs", "tracefs"),
    )
)
_OWN_PREFIXES = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/var/run",
    "/var/lib/docker",
    "/var/lib/containerd",
)


_HOST_BY_DIRECTORY = f"""\
mount -t tmpfs -o mode=0755,size={_SCRATCH_SIZE} tmpfs scratch
mkdir scratch/root scratch/upper scratch/work
mount --bind scratch/root rootfs
for path in /*; do
    name=${{path#/}}
    if [ -L "$path" ]; then
        cp -P "$path" rootfs/
    elif [ -d "$path" ]; then
        mkdir "rootfs/$name" "scratch/upper/$name" "scratch/work/$name"
        case $name in proc | sys | dev | run | tmp) continue ;; esac
        options="lowerdir=$path,upperdir=scratch/upper/$name,workdir=scratch/work/$name,userxattr"
        mount -t overlay -o "$options" overlay "rootfs/$name" 2>/dev/null ||
            {{ mount --rbind "$path" "rootfs/$name" && mount -o remount,bind,ro "rootfs/$name"; }} || true
    fi
done
"""


def mount_script(image: Image) -> str:
    """Commands that mount ``rootfs`` in the current directory; it and ``scratch`` are there, empty."""
    unprivileged = users.is_in_user_namespace()
    if image.layers is None and unprivileged:
        return _HOST_BY_DIRECTORY
    if image.layers is None:
        return (
            f"mount -t tmpfs -o mode=0755,size={_SCRATCH_SIZE} tmpfs scratch\n"
            "mkdir scratch/upper scratch/work\n"
            "mount -t overlay -o lowerdir=/,upperdir=scratch/upper,workdir=scratch/work overlay rootfs ||\n"
            "    { mount --bind / rootfs && mount -o remount,bind,ro rootfs; }\n"
        )
    lines = ["mkdir -p scratch/upper scratch/work"]
    if not image.layers:
        lines.append("mount --bind scratch/upper rootfs")
    else:
        # The topmost comes first. Paths relative to the layers' directory keep the options within the
        # one page that mount(2) takes.
        here = "here=$(pwd)"
        layers = ":".join(path.name for path in reversed(image.layers))
        directory = shlex.quote(str(image.layers[0].parent))
        options = f'lowerdir={layers},upperdir="$here"/scratch/upper,workdir="$here"/scratch/work'
        options += ",userxattr" if unprivileged else ""
        lines += [here, f"cd {directory}", f'mount -t overlay -o {options} overlay "$here"/rootfs']
    return "\n".join(lines) + "\n"


def host_mounts(hidden: list[Path]) -> list[Mount | Tmpfs]:
    """What a view of the host needs beside its root: its other disks read-only, own ``/tmp`` and
    ``/run``, and nothing of the ``hidden`` directories (the cluster's keys and other Pods' files)."""
    mounts: list[Mount | Tmpfs] = [Tmpfs("/tmp"), Tmpfs("/run", ("nosuid", "nodev", "mode=755"))]
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            fields, _, rest = line.partition(" - ")
            target = _unescape(fields.split(" ")[4])
            if target == "/" or rest.split(" ", 1)[0] in _KERNEL_TYPES or _is_own(target, hidden):
                continue
            if Path(target).is_dir():
                mounts.append(Mount(Path(target), target, read_only=True))
    shown = [path for path in hidden if path.is_dir() and not _is_own(str(path), [])]
    mounts += [Tmpfs(str(path), ("ro", "nosuid", "nodev", "noexec", "mode=700")) for path in shown]
    # Our own programs, should they be below one of these: the echo server is to be found wherever we are.
    own = {Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2]}
    mounts += [Mount(path, str(path), read_only=True) for path in sorted(own) if _is_own(str(path), hidden)]
    return mounts


def _is_own(target: str, hidden: list[Path]) -> bool:
    prefixes = (*_OWN_PREFIXES, *(str(path) for path in hidden))
    return any(target == prefix or target.startswith(f"{prefix}/") for prefix in prefixes)


def _unescape(text: str) -> str:
    """A path of ``mountinfo``, where space, tab, newline and backslash are octal."""
    for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        text = text.replace(code, character)
    return text
