"""What the kernel has."""

from __future__ import annotations

import gzip
import os
import platform
from functools import cache
from pathlib import Path

from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient
from clusterip.proxy import modes

_MODULES = Path("/lib/modules")


def check(patient: Patient, found: Findings) -> None:
    _modes(patient, found)
    _namespaces(found)
    _feature(
        found,
        "connection tracking",
        "nf_conntrack",
        "NF_CONNTRACK",
        "no Service can work without it",
        needed=True,
    )
    _feature(
        found, "overlayfs", "overlay", "OVERLAY_FS", "Pods' root file systems are made of it", needed=True
    )
    _feature(found, "bridge", "bridge", "BRIDGE", "a node's Pods are connected by one", needed=True)
    _feature(found, "veth", "veth", "VETH", "a Pod's interface is one", needed=True)
    _feature(found, "vxlan", "vxlan", "VXLAN", "only Pod networks between machines may need it", needed=False)
    _bridged_frames(found)
    if Path("/sys/fs/cgroup/cgroup.controllers").exists() or Path("/sys/fs/cgroup/unified").is_dir():
        found.ok("cgroups", "version 2 is mounted")
    else:
        found.warning(
            "cgroups",
            "version 2 is not mounted; limits of Pods and the mode ebpf need it",
            "mount -t cgroup2 none /sys/fs/cgroup/unified, or boot with systemd.unified_cgroup_hierarchy=1",
        )


def _modes(patient: Patient, found: Findings) -> None:
    used = patient.config.proxy_mode if patient.config is not None else modes.NAMES[0]
    for name in modes.NAMES:
        missing = modes.get(name).missing()
        if not missing:
            found.ok(f"proxy mode {name}", "this machine can run it")
        elif name == used:
            found.error(f"proxy mode {name}", missing, "provide that, or choose another --proxy-mode")
        else:
            found.info(f"proxy mode {name}", missing)


def _namespaces(found: Findings) -> None:
    kinds = ("net", "mnt", "uts", "ipc", "pid", "user", "cgroup")
    missing = [kind for kind in kinds if not Path(f"/proc/self/ns/{kind}").exists()]
    if missing:
        found.error(
            "namespaces",
            f"the kernel has none of the kinds {', '.join(missing)}",
            "use a kernel with CONFIG_NAMESPACES and all its kinds",
        )
    else:
        found.ok("namespaces", f"{', '.join(kinds)}")
    why = _no_user_namespaces()
    if why:
        found.info("clusters without root", why[0], why[1])
    elif os.geteuid() != 0:
        found.ok("clusters without root", "user namespaces may be made")


def _no_user_namespaces() -> tuple[str, str] | None:
    """Why ordinary users may make no user namespaces, and what would let them."""
    for path, bad, setting in (
        ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ):
        try:
            value = Path(path).read_text().strip()
        except OSError:
            continue
        if value == bad:
            name = path.removeprefix("/proc/sys/").replace("/", ".")
            return f"{name} is {value}: users other than root cannot start one", f"sysctl -w {setting}"
    return None


def _bridged_frames(found: Findings) -> None:
    try:
        value = Path("/proc/sys/net/bridge/bridge-nf-call-iptables").read_text().strip()
    except OSError:
        found.ok("bridge-nf", "bridged frames pass no firewall rules (br_netfilter is not loaded)")
        return
    if value == "0":
        found.ok("bridge-nf", "bridged frames pass no firewall rules")
    else:
        found.info(
            "bridge-nf",
            "bridged frames pass the firewall's FORWARD rules (bridge-nf-call-iptables is 1), as other"
            " networks on this machine may want it",
            "if nodes cannot reach each other: look at `nft list ruleset` and `iptables -L FORWARD`",
        )


def _feature(found: Findings, subject: str, module: str, option: str, use: str, *, needed: bool) -> None:
    state = feature(module, option)
    if state:
        found.ok(subject, state)
    elif needed:
        found.error(
            subject,
            f"the kernel does not have it, and {use}",
            f"modprobe {module}, or use a kernel with CONFIG_{option}",
        )
    else:
        found.info(subject, f"the kernel does not have it; {use}", f"modprobe {module}")


def feature(module: str, option: str) -> str:
    """``built in``, ``loaded`` or ``a module``; empty if the kernel does not have it, as far as can be
    told."""
    if Path("/sys/module", module).exists():
        return "loaded"
    built_in, as_module = f"CONFIG_{option}=y", f"CONFIG_{option}=m"
    lines = _kernel_config()
    if built_in in lines:
        return "built in"
    directory = _MODULES / platform.release()
    for file, text in (("modules.builtin", "built in"), ("modules.dep", "a module")):
        try:
            if f"/{module}.ko" in (directory / file).read_text():
                return text
        except OSError:
            continue
    # A container may see no modules, and have them all the same.
    if as_module in lines and not directory.exists():
        return "a module"
    return ""


@cache
def _kernel_config() -> frozenset[str]:
    try:
        return frozenset(gzip.decompress(Path("/proc/config.gz").read_bytes()).decode().splitlines())
    except OSError:
        pass
    try:
        return frozenset(Path(f"/boot/config-{platform.release()}").read_text().splitlines())
    except OSError:
        return frozenset()
