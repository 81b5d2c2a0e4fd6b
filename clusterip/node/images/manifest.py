"""The parts of the OCI image format that are used: descriptors, indexes, manifests, configurations.

Docker's older media types name the same shapes. See the OCI image specification.
"""

from __future__ import annotations

from typing import Any

import msgspec

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEX_TYPES = (INDEX, DOCKER_LIST)
MANIFEST_TYPES = (MANIFEST, DOCKER_MANIFEST)

NAME_ANNOTATION = "org.opencontainers.image.ref.name"
CONTAINERD_NAME_ANNOTATION = "io.containerd.image.name"


class _Struct(msgspec.Struct, kw_only=True, omit_defaults=True):
    pass


class Platform(_Struct):
    architecture: str = ""
    os: str = ""
    variant: str = ""


class Descriptor(_Struct):
    """A blob: what it is, its digest (``sha256:…``) and its size in bytes."""

    mediaType: str = ""
    digest: str = ""
    size: int = 0
    annotations: dict[str, str] | None = None
    platform: Platform | None = None


class Index(_Struct):
    schemaVersion: int = msgspec.field(default_factory=lambda: 2)
    mediaType: str = ""
    manifests: list[Descriptor] = []


class Manifest(_Struct):
    schemaVersion: int = msgspec.field(default_factory=lambda: 2)
    mediaType: str = ""
    config: Descriptor = msgspec.field(default_factory=Descriptor)
    layers: list[Descriptor] = []


class Process(_Struct):
    """What a container of the image runs unless its Pod says otherwise."""

    Entrypoint: list[str] | None = None
    Cmd: list[str] | None = None
    Env: list[str] | None = None
    WorkingDir: str = ""
    User: str = ""
    StopSignal: str = ""


class RootFS(_Struct):
    type: str = ""
    diff_ids: list[str] = []


class Config(_Struct):
    architecture: str = ""
    os: str = ""
    config: Process | None = None
    rootfs: RootFS = msgspec.field(default_factory=RootFS)


class Unsupported(Exception):
    """An image that is well-formed but cannot run here."""


def choose(index: Index, architecture: str) -> Descriptor:
    """The manifest of an index for Linux on ``architecture`` (Go's names: ``amd64``, ``arm64``).

    Raises:
        Unsupported: there is none.
    """
    offered = [d for d in index.manifests if d.mediaType in (*MANIFEST_TYPES, *INDEX_TYPES, "")]
    for descriptor in offered:
        platform = descriptor.platform
        if platform is None or (platform.os == "linux" and platform.architecture == architecture):
            return descriptor
    names = ", ".join(f"{d.platform.os}/{d.platform.architecture}" for d in offered if d.platform)
    raise Unsupported(f"no match for platform linux/{architecture} in manifest; it has: {names or 'none'}")


def go_architecture(machine: str) -> str:
    """Go's name of what ``uname -m`` says."""
    return {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}.get(machine, machine)


def as_json(value: Any) -> bytes:
    return msgspec.json.encode(value)
