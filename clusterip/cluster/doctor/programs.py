"""The programs that parts run, and how old they are."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys

from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient

_NEEDED = {
    "nft": ("nftables", (1, 0), "rules of nodes on this machine are made with it"),
    "crun": ("crun", (1, 0), "Pods run in it"),
    "mount": ("mount", (2, 0), "volumes of Pods are mounted with it"),
}
_USEFUL = {
    "conntrack": ("conntrack", "shows tracked connections"),
    "iptables": ("iptables", "the proxy mode iptables needs it"),
}
_PYTHON = (3, 11)
_KERNEL = (5, 13)
_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def check(patient: Patient, found: Findings) -> None:
    _kernel(found)
    python = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _PYTHON:
        found.ok("python", python)
    else:
        found.error("python", f"{python} is too old", "use Python 3.11 or newer")
    for program, (package, least, use) in _NEEDED.items():
        version, text = version_of(program)
        if version is None and not text:
            found.error(program, f"is not installed; {use}", f"apt-get install -y {package}")
        elif version is not None and version < least:
            wanted = ".".join(map(str, least))
            found.warning(program, f"version {text} is older than {wanted}", f"install a newer {package}")
        else:
            found.ok(program, text)
    for program, (package, use) in _USEFUL.items():
        _, text = version_of(program)
        if text:
            found.ok(program, text)
        else:
            found.info(program, f"is not installed; {use}", f"apt-get install -y {package}")


def _kernel(found: Findings) -> None:
    release = platform.release()
    parsed = _numbers(release)
    if parsed is not None and parsed < _KERNEL:
        wanted = ".".join(map(str, _KERNEL))
        found.error("linux", f"{release} is older than {wanted}", f"use Linux {wanted} or newer")
    else:
        found.ok("linux", release)


def version_of(program: str) -> tuple[tuple[int, int] | None, str]:
    """A program's version, as numbers (None: it does not tell) and as text; empty if it is not installed."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:{_PATH}")
    if path is None:
        return None, ""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None, "installed"
    text = (done.stdout or done.stderr).strip().splitlines()
    found = _numbers(text[0]) if text else None
    return found, text[0] if text else "installed"


def _numbers(text: str) -> tuple[int, int] | None:
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None
