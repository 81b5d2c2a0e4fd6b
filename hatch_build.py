"""What the wheel has beside the files of the package: compiled eBPF programs and the examples."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

EXAMPLES = {"examples": "clusterip/examples"}
"""What `clusterip up` tells people to try."""


class ContentBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs for each wheel. What it makes is in a directory of its own, so that the source stays as it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Without clang the wheel lacks only ``--proxy-mode=ebpf``, which then says so."""
        self._made = Path(tempfile.mkdtemp(prefix="clusterip-build-"))
        if version == "editable":
            return  # `make ebpf`; everything else is found where it is
        build_data["force_include"].update(EXAMPLES)
        sources = sorted(Path(self.root, "clusterip").rglob("*.bpf.c"))
        if shutil.which("clang") is None:
            self.app.display_warning("clang is not installed: the wheel will lack --proxy-mode=ebpf")
            return
        for source in sources:
            relative = source.relative_to(self.root)
            target = self._made / relative.with_suffix(".o").name
            self._compile(relative, target)
            build_data["force_include"][str(target)] = str(relative.with_suffix(".o"))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self._made, ignore_errors=True)

    def _compile(self, source: Path, target: Path) -> None:
        """Compile one program. Debug information (BTF is made of it) names no directory of this machine."""
        include = f"-I/usr/include/{platform.machine()}-linux-gnu"
        options = ["-O2", "-g", "-Wall", "-target", "bpf", include, f"-ffile-prefix-map={self.root}=."]
        options += ["-fdebug-compilation-dir=."]
        command = ["clang", *options, "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True, cwd=self.root)
