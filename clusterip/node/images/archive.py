"""Reading images out of files: OCI layouts (a directory or a tar of one) and ``docker save`` archives."""

from __future__ import annotations

import gzip
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from clusterip.node.files import UnsafePath, resolve_beneath
from clusterip.node.images import manifest as oci
from clusterip.node.images.reference import InvalidReference, Reference, parse
from clusterip.node.images.store import ImageStore


class BadArchive(Exception):
    """A file that holds no image."""


class Source(Protocol):
    """Where an archive's members are read from."""

    def open(self, name: str) -> IO[bytes]: ...
    def has(self, name: str) -> bool: ...


class _Directory:
    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> IO[bytes]:
        return open(resolve_beneath(self._root, name), "rb")

    def has(self, name: str) -> bool:
        return resolve_beneath(self._root, name).is_file()


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name.removeprefix("./"): member for member in archive}

    def open(self, name: str) -> IO[bytes]:
        file = self._archive.extractfile(self._members[name])
        if file is None:
            raise BadArchive(f'"{name}" in the archive is not a file')
        return file

    def has(self, name: str) -> bool:
        return name in self._members


class _DockerImage(msgspec.Struct):
    Config: str
    RepoTags: list[str] | None = None
    Layers: list[str] = []


def import_archive(store: ImageStore, path: Path, *, name: str = "") -> list[Reference]:
    """Put every image of a file or directory into the store, and return their names.

    ``name`` overrides the name the archive gives, if it holds exactly one image.

    Raises:
        FileNotFoundError: there is no such file.
        BadArchive, DigestMismatch, UnsafePath, Unsupported: what is wrong with it.
        InvalidReference: an image in it has no usable name and none was given.
    """
    with store.adding():
        return _import(store, path, name)


def _import(store: ImageStore, path: Path, name: str) -> list[Reference]:
    with _opened(path) as source:
        if source.has("index.json"):
            images = list(_read_layout(store, source))
        elif source.has("manifest.json"):
            images = list(_read_docker(store, source))
        else:
            raise BadArchive(f"{path} holds neither an OCI image layout nor an archive of docker save")
    if name:
        if len({digest for digest, _ in images}) != 1:
            raise BadArchive(f"{path} holds {len(images)} images; one name does not fit them all")
        images = [(images[0][0], name)]
    references: list[Reference] = []
    for digest, named in images:
        if not named:
            raise InvalidReference(f"the image in {path} has no name; give it one with --name")
        reference = parse(named)
        store.tag(reference, digest)
        store.find(str(reference))  # unpack now: a damaged image is refused here, not when a Pod starts
        references.append(reference)
    return references


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    if path.is_dir():
        yield _Directory(path)
        return
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with tempfile.TemporaryFile() as plain:
                if compressed:  # members are read in any order, which gzip cannot
                    with gzip.GzipFile(fileobj=file) as reader:
                        shutil.copyfileobj(reader, plain)
                    plain.seek(0)
                with tarfile.open(fileobj=plain if compressed else file, mode="r:") as archive:
                    yield _Tar(archive)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise BadArchive(f"{path} is not a readable tar archive: {error}") from error
    except KeyError as error:
        raise BadArchive(f"{path} lacks a part of the image: {error.args[0]}") from error
    except msgspec.DecodeError as error:
        raise BadArchive(f"{path} has a malformed index or manifest: {error}") from error


def _read_json(source: Source, name: str, type_: Any) -> Any:
    with source.open(name) as file:
        return msgspec.json.decode(file.read(), type=type_)


def _read_layout(store: ImageStore, source: Source) -> Iterator[tuple[str, str]]:
    index: oci.Index = _read_json(source, "index.json", oci.Index)
    if not index.manifests:
        raise BadArchive("the layout's index.json names no image")
    for descriptor in index.manifests:
        notes = descriptor.annotations or {}
        name = notes.get(oci.CONTAINERD_NAME_ANNOTATION) or notes.get(oci.NAME_ANNOTATION, "")
        yield _copy_image(store, source, descriptor), name


def _copy_image(store: ImageStore, source: Source, descriptor: oci.Descriptor) -> str:
    data = _copy_blob(store, source, descriptor.digest)
    if descriptor.mediaType in oci.INDEX_TYPES:
        machine = oci.go_architecture(platform.machine())
        chosen = oci.choose(msgspec.json.decode(data, type=oci.Index), machine)
        return _copy_image(store, source, chosen)
    manifest = msgspec.json.decode(data, type=oci.Manifest)
    for part in (manifest.config, *manifest.layers):
        if not store.blobs.has(part.digest):
            _copy_blob(store, source, part.digest, keep_content=False)
    return descriptor.digest


def _copy_blob(store: ImageStore, source: Source, digest: str, *, keep_content: bool = True) -> bytes:
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or len(value) != 64 or not value.isalnum():
        raise UnsafePath(f'"{digest}" is not a sha256 digest')
    with source.open(f"blobs/sha256/{value}") as file, store.blobs.writer() as writer:
        writer.copy(file)
        writer.commit(digest)
    return store.blobs.read(digest) if keep_content else b""


def _read_docker(store: ImageStore, source: Source) -> Iterator[tuple[str, str]]:
    entries: list[_DockerImage] = _read_json(source, "manifest.json", list[_DockerImage])
    for entry in entries:
        config = _copy_member(store, source, entry.Config, oci.CONFIG)
        layers = [_copy_member(store, source, layer, oci.LAYER) for layer in entry.Layers]
        manifest = oci.Manifest(mediaType=oci.MANIFEST, config=config, layers=layers)
        digest = store.blobs.put(oci.as_json(manifest))
        for tag in entry.RepoTags or [""]:
            yield digest, tag


def _copy_member(store: ImageStore, source: Source, name: str, media_type: str) -> oci.Descriptor:
    with source.open(name) as file, store.blobs.writer() as writer:
        writer.copy(file)
        return oci.Descriptor(mediaType=media_type, digest=writer.commit(), size=writer.size)
