"""``python -m tests.support.emulated COMMAND…``: run a command in Debian's kernel, with this file system.

Takes qemu-system-x86, busybox-static, cpio and kmod, and root, who alone may read all files. It is slow, at
about a tenth of this machine's speed.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.emulated import kernel

_KERNELS = Path("build/emulated")
_MEMORY = "5G"
_START = Path(__file__).parent / "start"


def _share(number: int, path: str, tag: str, *options: str) -> list[str]:
    shared = ",".join(["local", f"id=fs{number}", f"path={path}", "security_model=none", *options])
    return ["-fsdev", shared, "-device", f"virtio-9p-pci,fsdev=fs{number},mount_tag={tag}"]


def run(command: list[str]) -> int:
    """Run a command in the machine, its output here as it comes; its exit status, 1 if the machine failed."""
    found = kernel.make(_KERNELS.resolve())
    with tempfile.TemporaryDirectory(prefix="clusterip-emulated-", dir="/var/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        for file, text in (
            ("run", f"#!/bin/sh\nexec {shlex.join(command)}\n"),
            ("start", _START.read_text()),
            ("modules", str(found.modules)),
            ("where", str(Path.cwd())),
            ("output", ""),
        ):
            (directory / file).write_text(text)
            (directory / file).chmod(0o755)
        machine = [
            *("qemu-system-x86_64", "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"),
            # Not KVM: machines that are virtual themselves may show it and then go nowhere.
            *("-accel", "tcg,thread=multi", "-cpu", "max"),
            *("-m", _MEMORY, "-smp", str(os.cpu_count() or 1), "-device", "virtio-rng-pci"),
            *("-kernel", str(found.image), "-initrd", str(found.initramfs)),
            *("-append", f"console=ttyS0 quiet panic=-1 HERE={directory}"),
            *_share(0, "/", "root", "readonly=on", "multidevs=remap"),
            *_share(1, name, "here"),
        ]
        with (directory / "console").open("wb") as console:
            qemu = subprocess.Popen(machine, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
            follow = subprocess.Popen(["tail", f"--pid={qemu.pid}", "-n", "+1", "-f", directory / "output"])
            try:
                qemu.wait()
            finally:
                qemu.kill()
                qemu.wait()
                follow.wait()
        status = directory / "status"
        if not status.exists():
            print((directory / "console").read_text(errors="replace")[-3000:], file=sys.stderr)
            print("the machine has ended before the command did", file=sys.stderr)
            return 1
        return int(status.read_text())


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
