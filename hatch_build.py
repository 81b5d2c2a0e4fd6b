"""Compiles the eBPF programs into the wheel, where clang is there to do it."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("clusterip/proxy/ebpf/sockets.bpf.c")


class EbpfBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Without clang the wheel lacks only ``--proxy-mode=ebpf``, which then says so."""
        if version == "editable":
            return  # `make ebpf`
        source = Path(self.root) / SOURCE
        target = source.with_suffix(".o")
        clang = shutil.which("clang")
        if clang is None:
            self.app.display_warning("clang is not installed: the wheel will lack --proxy-mode=ebpf")
            return
        include = f"-I/usr/include/{platform.machine()}-linux-gnu"
        command = [
            clang,
            "-O2",
            "-g",
            "-Wall",
            "-target",
            "bpf",
            include,
            "-c",
            str(source),
            "-o",
            str(target),
        ]
        subprocess.run(command, check=True)
        build_data["force_include"][str(target)] = str(target.relative_to(self.root))
