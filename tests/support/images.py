"""Small container images made for tests: layers out of Python, layouts and archives out of layers."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

Entry = tarfile.TarInfo | tuple[str, bytes]


def layer(*entries: Entry) -> bytes:
    """An uncompressed layer of files (name and content) and other members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            name, content = entry
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A member without content: a link, a directory, a device."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, 0o755
    return info


def shell_layer() -> bytes:
    """A layer with ``/bin/sh``, ``cat`` and ``ls`` of this machine, and what they need."""
    programs = {"bin/sh": "/bin/dash", "bin/cat": "/bin/cat", "bin/ls": "/bin/ls"}
    files = {name: Path(path).read_bytes() for name, path in programs.items()}
    for path in programs.values():
        shown = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        for word in shown.split():
            if word.startswith("/"):
                files[word.lstrip("/")] = Path(word).read_bytes()
    return layer(*files.items())


def write_layout(
    directory: Path, name: str, layers: Sequence[bytes], config: dict[str, Any] | None = None
) -> Path:
    """An OCI image layout in ``directory``."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    prefix = "application/vnd.oci.image"
    described = {
        "architecture": "amd64",
        "os": "linux",
        "config": config or {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers],
        },
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{prefix}.manifest.v1+json",
        "config": put(json.dumps(described).encode(), f"{prefix}.config.v1+json"),
        "layers": [put(gzip.compress(each), f"{prefix}.layer.v1.tar+gzip") for each in layers],
    }
    descriptor = put(json.dumps(manifest).encode(), f"{prefix}.manifest.v1+json")
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


def pack(directory: Path, archive: Path) -> Path:
    """A directory as a tar archive, gzipped if its name says so."""
    with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as tar:
        for path in sorted(directory.rglob("*")):
            tar.add(path, str(path.relative_to(directory)), recursive=False)
    return archive


def skopeo(*arguments: str) -> None:
    """Run skopeo, the field's tool for moving images. The test is skipped where there is none."""
    program = shutil.which("skopeo")
    if program is None:
        pytest.skip("skopeo is not installed")
    subprocess.run([program, "--insecure-policy", *arguments], check=True, capture_output=True)
