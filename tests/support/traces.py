"""All of a machine that a cluster may change, as text that is the same before and after."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from clusterip.kernel import namespaces
from tests.support.cluster import TestCluster


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def state(cluster: TestCluster) -> str:
    """Links, routes, rules, sysctls, namespaces, mounts, processes and files that may have to do with us."""
    # Written by the kernel itself, or not a setting.
    volatile = re.compile(r"/(flush|random|.*_count$|.*_mem$|stat$|route/)")
    sysctls = [
        f"{path}={read(path)!r}"
        for path in sorted(Path("/proc/sys/net").rglob("*"))
        if path.is_file() and path.stat().st_mode & 0o400 and not volatile.search(str(path))
    ]
    own = str(cluster.directory)
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if own in line]
    names = [
        name for name in namespaces.names() if name.startswith((f"{cluster.name}-node", f"{cluster.name}-sw"))
    ]
    processes = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and own.encode() in read(entry / "cmdline")
    ]
    shown = [
        _run("ip", "-brief", "address"),
        _run("ip", "route", "show", "table", "all"),
        _run("ip", "-6", "route", "show", "table", "all"),
        _run("ip", "rule"),
        _run("nft", "list", "ruleset"),
    ]
    files = sorted(path.name for path in cluster.directory.iterdir()) if cluster.directory.exists() else []
    return "\n".join([*shown, *sysctls, *mounts, *names, *processes, *files])


def read(path: Path) -> bytes:
    """What a file has; nothing if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:  # it is gone, or a sysctl that nobody has set
        return b""
