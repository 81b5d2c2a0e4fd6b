"""Debian's kernel and a first file system for it, made of packages."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_INIT = Path(__file__).parent / "init"
_FIRST_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""What it takes to see this machine's file system."""


@dataclass(frozen=True)
class Kernel:
    """image: what boots. initramfs: what it starts with. modules: the directory of all its modules."""

    image: Path
    initramfs: Path
    modules: Path


def make(directory: Path) -> Kernel:
    """Download the kernel that Debian has for this machine and unpack it below ``directory``, once.

    Raises subprocess.CalledProcessError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tree = directory / "kernel"
    if not tree.exists():
        package = _package()
        subprocess.run(["apt-get", "download", "-q", package], cwd=directory, check=True)
        (archive,) = directory.glob(f"{package}_*.deb")
        unpacked = directory / "unpacked"
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
        unpacked.rename(tree)
        archive.unlink()
    (modules,) = (tree / "lib/modules").iterdir()
    subprocess.run(["depmod", "-b", tree, modules.name], check=True)
    (image,) = (tree / "boot").glob("vmlinuz-*")
    return Kernel(image, _initramfs(directory, tree, modules.name), modules)


def _package() -> str:
    """The newest package with a kernel; ``linux-image-amd64`` only depends on it."""
    shown = subprocess.run(
        ["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True
    ).stdout
    names: list[str] = re.findall(r"Depends: (linux-image-\S+)", shown)
    return names[0]


def _initramfs(directory: Path, tree: Path, release: str) -> Path:
    """busybox, the modules that reach this machine's file system, and ``init`` that goes on there."""
    root = directory / "initramfs"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "dev", "modules", "proc", "sys", "host", "changes", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    shutil.copy(_INIT, root / "init")
    shown = subprocess.run(
        ["modprobe", "--dirname", tree, "--set-version", release, "--show-depends", "-a", *_FIRST_MODULES],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = dict.fromkeys(line.split()[1] for line in shown.splitlines() if line.startswith("insmod"))
    for number, file in enumerate(files):
        shutil.copy(file, root / f"modules/{number:02}-{Path(file).name}")
    archive = directory / "initramfs.cpio"
    with archive.open("wb") as output:
        listed = subprocess.run(["find", "."], cwd=root, stdout=subprocess.PIPE, check=True).stdout
        command = ["cpio", "--quiet", "-o", "-H", "newc"]
        subprocess.run(command, cwd=root, input=listed, stdout=output, check=True)
    return archive
