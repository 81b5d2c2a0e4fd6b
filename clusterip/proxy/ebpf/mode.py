"""``--proxy-mode=ebpf``."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from clusterip.kernel import users
from clusterip.kernel.bpf import BpfError
from clusterip.kernel.bpf.filesystem import cgroup_root, is_bpf, mount_bpf
from clusterip.kernel.bpf.libbpf import library
from clusterip.proxy.backend import BackendError, BackendOptions, Mode
from clusterip.proxy.ebpf.backend import EbpfBackend
from clusterip.proxy.nftables import mode as nftables

PROGRAM = Path(__file__).with_name("sockets.bpf.o")
FILE_SYSTEM = Path("/sys/fs/bpf")
_DIRECTORY = "clusterip"


def open_backend(options: BackendOptions) -> EbpfBackend:
    """Raises BackendError: the machine cannot do it."""
    if why := missing():
        raise BackendError(why)
    cgroup = options.cgroup or cgroup_root()
    if cgroup is None:
        raise BackendError(_NO_CGROUPS)
    rules = nftables.open_backend(options)
    try:
        mount_bpf(FILE_SYSTEM)
        # Translated connections are never masqueraded: who wants that gets all from the rules.
        translate = not options.masquerade_all
        return EbpfBackend(rules, PROGRAM, pins(), cgroup, translate=translate)
    except (BpfError, OSError) as error:
        rules.close()
        raise BackendError(f"cannot use eBPF: {error}") from error


_NO_CGROUPS = "no cgroups of version 2 are mounted: mount -t cgroup2 none /sys/fs/cgroup/unified"


def missing() -> str:
    if not PROGRAM.exists():
        return f"{PROGRAM.name} is not built; with clang and libbpf-dev: make ebpf"
    try:
        library()
    except BpfError as error:
        return str(error)
    if not Path("/proc/sys/kernel/unprivileged_bpf_disabled").exists():
        return "this kernel has no eBPF: it takes CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF"
    if users.is_in_user_namespace():
        return "eBPF programs need root of the machine, not of a user namespace"
    if cgroup_root() is None:
        return _NO_CGROUPS
    return nftables.missing()


def clean_up() -> list[str]:
    """Detach the programs and forget the maps."""
    directory = pins()
    # Where we may not even look, nothing is ours.
    if not is_bpf(FILE_SYSTEM) or not os.access(FILE_SYSTEM, os.X_OK) or not directory.exists():
        return []
    shutil.rmtree(directory)
    return [f"eBPF programs and maps in {directory}"]


def pins() -> Path:
    """Where programs and maps are pinned: of each network namespace apart, as its rules are."""
    return FILE_SYSTEM / _DIRECTORY / str(os.stat("/proc/thread-self/ns/net").st_ino)


MODE = Mode("ebpf", open_backend, missing, clean_up, rests_on="nftables", node_ports_on_primary=True)
