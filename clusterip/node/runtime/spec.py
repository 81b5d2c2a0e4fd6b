"""The OCI runtime configuration of a container: from what a container is to what crun reads.

See https://github.com/opencontainers/runtime-spec. The defaults (capabilities, masked paths, devices)
are those of containerd, which images are built to expect; but for MKNOD: no cgroup here would keep one from
the machine's devices that has made itself files of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
)
ALL_CAPABILITIES = (
    *DEFAULT_CAPABILITIES,
    *("AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH"),
    *("IPC_LOCK", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN"),
    *("NET_BROADCAST", "PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE"),
    *("SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG"),
    "WAKE_ALARM",
)

_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_JOIN = Path(__file__).with_name("join.sh")


@dataclass(frozen=True)
class Mount:
    """A bind mount: a file or directory of the node in the container. Recursive, as upstream's."""

    source: Path
    target: str
    read_only: bool = False
    propagation: str = "rprivate"

    def as_oci(self) -> dict[str, Any]:
        options = ["rbind", self.propagation, "ro" if self.read_only else "rw"]
        return {
            "destination": self.target,
            "type": "bind",
            "source": str(self.source),
            "options": options,
        }


@dataclass(frozen=True)
class Tmpfs:
    """A tmpfs in the container."""

    target: str
    options: tuple[str, ...] = ("nosuid", "nodev", "mode=1777")

    def as_oci(self) -> dict[str, Any]:
        return {
            "destination": self.target,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": list(self.options),
        }


@dataclass(frozen=True)
class User:
    """Who the first process is."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class ContainerSpec:
    """Everything crun must know of a container beside its root file system.

    ``namespaces`` maps a kind (``network``, ``uts``, ``ipc``, ``pid``) to the path of the one to join; kinds
    that are not in it are the node's own, except ``mount``, which is always new, and ``pid``, which is
    unless ``host_pid``. ``shm`` is what others have as /dev/shm too; None: it is the container's own.
    """

    args: Sequence[str]
    env: Sequence[tuple[str, str]] = ()
    cwd: str = "/"
    user: User = field(default_factory=User)
    terminal: bool = False
    mounts: Sequence[Mount | Tmpfs] = ()
    namespaces: dict[str, str] = field(default_factory=dict)
    host_pid: bool = False
    capabilities: Sequence[str] = DEFAULT_CAPABILITIES
    privileged: bool = False
    no_new_privileges: bool = False
    read_only_root: bool = False
    oom_score_adjust: int | None = None
    shm: Path | None = None


def process(spec: ContainerSpec) -> dict[str, Any]:
    """The ``process`` part: of a container's configuration, or of a command run in it later."""
    names = [f"CAP_{name.removeprefix('CAP_')}" for name in spec.capabilities]
    result: dict[str, Any] = {
        "terminal": spec.terminal,
        "user": {"uid": spec.user.uid, "gid": spec.user.gid, "additionalGids": list(spec.user.groups)},
        "args": list(spec.args),
        "env": [f"{name}={value}" for name, value in spec.env],
        "cwd": spec.cwd or "/",
        "capabilities": {"bounding": names, "effective": names, "permitted": names},
        "noNewPrivileges": spec.no_new_privileges,
    }
    if spec.oom_score_adjust is not None:
        result["oomScoreAdj"] = spec.oom_score_adjust
    return result


def configuration(spec: ContainerSpec, directory: Path | None = None) -> dict[str, Any]:
    """The whole ``config.json``. The root file system is expected in ``rootfs`` beside it.

    The first process joins the cgroups that are noted in ``directory``; None: it stays where we are.
    """
    namespaces: list[dict[str, str]] = [{"type": "mount"}]
    if not spec.host_pid and "pid" not in spec.namespaces:
        namespaces.append({"type": "pid"})
    namespaces += [{"type": kind, "path": path} for kind, path in spec.namespaces.items()]
    access = "rw" if spec.privileged else "ro"
    sysfs_own = "network" in spec.namespaces
    mounts: list[dict[str, Any]] = [
        _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
        ),
        _mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k")
        if spec.shm is None
        else Mount(spec.shm, "/dev/shm").as_oci(),
        _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        # A sysfs shows the network of who mounts it; without an own network it cannot be mounted anew.
        _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", access)
        if sysfs_own
        else Mount(Path("/sys"), "/sys", not spec.privileged, "rslave").as_oci(),
    ]
    mounts += [mount.as_oci() for mount in spec.mounts]
    linux: dict[str, Any] = {"namespaces": namespaces, "rootfsPropagation": "rprivate"}
    if not spec.privileged:
        linux["maskedPaths"] = list(_MASKED)
        linux["readonlyPaths"] = list(_READ_ONLY)
    found: dict[str, Any] = {
        "ociVersion": "1.0.2",
        "process": process(spec),
        "root": {"path": "rootfs", "readonly": spec.read_only_root},
        "mounts": mounts,
        "linux": linux,
    }
    if directory is not None:
        # crun itself would manage cgroups only on some machines, and none of both versions.
        hook = {"path": "/bin/sh", "args": ["sh", str(_JOIN), str(directory)]}
        found["hooks"] = {"createRuntime": [hook]}
    return found


def _mount(target: str, kind: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": kind, "options": list(options)}
