"""The machine's images: names, blobs and unpacked layers under one directory, shared by its nodes.

::

    blobs/<sha256>      manifests, configurations and compressed layers, as they came
    layers/<diff id>/   layers unpacked for overlayfs
    names.json          image name -> digest of its manifest
    pulled/             which of them came from a registry, and when they were used last

Blobs and layers are named by their content, so processes only need locks for ``names.json``, and so that
one does not remove as unused what another is about to name.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clusterip.node.files import remove_tree, write_atomic
from clusterip.node.images import builtin
from clusterip.node.images.aliases import Aliases
from clusterip.node.images.blobs import Blobs, digest_of
from clusterip.node.images.layers import Layers
from clusterip.node.images.manifest import Config, Manifest, Process
from clusterip.node.images.pulled import PulledImages
from clusterip.node.images.reference import Reference, parse


class ImageNotFound(LookupError):
    """No image of that name is in the store."""


@dataclass(frozen=True)
class Image:
    """An image that containers can be made of.

    ``layers`` are its unpacked directories, lowest first; None means the host's file system.
    ``digest`` is its manifest's, ``id`` its configuration's. ``size`` is in bytes.
    """

    name: str
    digest: str
    id: str
    process: Process
    layers: tuple[Path, ...] | None
    size: int

    @property
    def image_id(self) -> str:
        """What ``status.containerStatuses[].imageID`` says."""
        repository = self.name.partition("@")[0].rpartition(":")[0] or self.name
        return f"{repository}@{self.digest}"


@dataclass(frozen=True)
class Listed:
    """A row of ``clusterip image list``; ``size`` in bytes."""

    name: str
    id: str
    size: int


class ImageStore:
    """The images under ``directory``, which is made when first written to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = Blobs(directory / "blobs")
        self.layers = Layers(directory / "layers")
        self.aliases = Aliases(directory)
        self.pulled = PulledImages(directory / "pulled")

    def find(self, name: str) -> Image:
        """The image called ``name``, its layers unpacked.

        Raises:
            InvalidReference: that is no image name.
            ImageNotFound: it is not here.
            DigestMismatch, UnsafePath, Unsupported: it is damaged, hostile or of an unknown form.
        """
        reference = parse(self.aliases.resolve(name))
        if builtin.is_builtin(reference):
            return _builtin_image(reference)
        digest = reference.digest or self._names().get(str(reference), "")
        if not digest or not self.blobs.has(digest):
            raise ImageNotFound(
                f'image "{reference}" is not on this machine; import it with: clusterip image import FILE'
            )
        with self.adding():
            manifest, config = self._described(digest)
            paths = [
                self.layers.unpack(self.blobs.path(layer.digest), diff_id)
                for layer, diff_id in zip(manifest.layers, config.rootfs.diff_ids, strict=True)
            ]
        self.pulled.use([str(reference)])
        return Image(
            name=str(reference),
            digest=digest,
            id=manifest.config.digest,
            process=config.config or Process(),
            layers=tuple(paths),
            size=sum(layer.size for layer in manifest.layers),
        )

    def has(self, name: str) -> bool:
        """Whether ``find`` would find it. Raises InvalidReference."""
        reference = parse(self.aliases.resolve(name))
        if builtin.is_builtin(reference):
            return True
        digest = reference.digest or self._names().get(str(reference), "")
        return bool(digest) and self.blobs.has(digest)

    def tag(self, reference: Reference, digest: str, *, pulled: bool = False) -> None:
        """Let ``reference`` name the manifest ``digest`` from now on; ``pulled``: a registry has it too."""
        with self._changing_names() as names:
            names[str(reference)] = digest
        if pulled:
            self.pulled.note(str(reference), time.time())
        else:
            self.pulled.forget(str(reference))

    def full_name(self, name: str) -> str:
        """Under which name the store has what a Pod calls ``name``. Raises InvalidReference."""
        return str(parse(self.aliases.resolve(name)))

    def remove(self, name: str) -> None:
        """Forget an image name, and remove what no other name needs.

        Raises:
            InvalidReference, ImageNotFound: there is no such image.
        """
        reference = parse(name)
        with self._locked(".content-lock", fcntl.LOCK_EX), self._changing_names() as names:
            if names.pop(str(reference), None) is None:
                raise ImageNotFound(f'there is no image "{reference}" on this machine')
            self.pulled.forget(str(reference))
            self._collect(set(names.values()))

    def running(self) -> set[str]:
        """The names of images whose layers some container of this machine is running on."""
        mounted = self.layers.mounted()
        found = set()
        for name, digest in self._names().items():
            _manifest, config = self._described(digest)
            if any(self.layers.path(diff_id).name in mounted for diff_id in config.rootfs.diff_ids[-1:]):
                found.add(name)
        return found

    def remove_remains(self) -> None:
        """Remove what pulls, imports and unpacking left that were cut off.

        Raises:
            BlockingIOError: some are under way; nothing was removed.
        """
        if not self.directory.is_dir():
            return
        with self._locked(".content-lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
            for directory in (self.blobs.directory, self.layers.directory):
                for entry in directory.glob(".new-*"):
                    remove_tree(entry)

    def adding(self) -> AbstractContextManager[None]:
        """Hold off removals, by any process, while new content has no name yet."""
        return self._locked(".content-lock", fcntl.LOCK_SH)

    def list(self) -> list[Listed]:
        """Every image, by name; the built-in ones first."""
        rows = [Listed(f"{builtin.REGISTRY}/{name}:latest", "", 0) for name in (builtin.ECHO, builtin.HOST)]
        for name, digest in sorted(self._names().items()):
            manifest, _config = self._described(digest)
            rows.append(Listed(name, manifest.config.digest, sum(layer.size for layer in manifest.layers)))
        return rows

    def _described(self, digest: str) -> tuple[Manifest, Config]:
        manifest = msgspec.json.decode(self.blobs.read(digest), type=Manifest)
        return manifest, msgspec.json.decode(self.blobs.read(manifest.config.digest), type=Config)

    def _collect(self, digests: set[str]) -> None:
        blobs = set(digests)
        diff_ids: set[str] = set()
        for digest in digests:
            manifest, config = self._described(digest)
            blobs |= {manifest.config.digest, *(layer.digest for layer in manifest.layers)}
            diff_ids |= set(config.rootfs.diff_ids)
        for digest in set(self.blobs.digests()) - blobs:
            self.blobs.path(digest).unlink(missing_ok=True)
        self.layers.remove_except(diff_ids)

    def _names(self) -> dict[str, str]:
        try:
            data = (self.directory / "names.json").read_bytes()
        except FileNotFoundError:
            return {}
        return msgspec.json.decode(data, type=dict[str, str])

    @contextmanager
    def _changing_names(self) -> Iterator[dict[str, str]]:
        with self._locked(".lock", fcntl.LOCK_EX):
            names = self._names()
            yield names
            write_atomic(self.directory / "names.json", msgspec.json.format(msgspec.json.encode(names)))

    @contextmanager
    def _locked(self, file: str, how: int) -> Iterator[None]:
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.directory / file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)


def _builtin_image(reference: Reference) -> Image:
    process = builtin.process(reference)
    digest = digest_of(msgspec.json.encode((str(reference.repository), process)))
    return Image(
        name=f"{reference.name}:{reference.tag or 'latest'}",
        digest=digest,
        id=digest,
        process=process,
        layers=None,
        size=0,
    )
