"""A Pod's volumes: directories of the node that its containers mount."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from clusterip.kernel import mounts
from clusterip.kernel.namespaces import is_mount_point
from clusterip.node.layout import PodDirectory
from clusterip.node.pods.downward import PodFacts, UnknownField, field_value, resource_value
from clusterip.node.pods.sources import Sources
from clusterip.node.pods.volume_files import VolumeFile, write
from clusterip.objects import quantity
from clusterip.objects.core.containers import Container
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.volumes import (
    DownwardAPIVolumeFile,
    EmptyDirVolumeSource,
    HostPathVolumeSource,
    KeyToPath,
    ProjectedVolumeSource,
    Volume,
)

_DEFAULT_MODE = 0o644
_DEFAULT_TOKEN_SECONDS = 3600


class VolumeError(Exception):
    """A volume cannot be set up as the Pod wants it; a later try may succeed."""


async def set_up(facts: PodFacts, volume: Volume, directory: PodDirectory, sources: Sources) -> Path:
    """Make one volume ready, or bring its files up to date; the directory or file to mount.

    Raises:
        VolumeError: what it should hold is missing, or its kind is unknown here.
        ApiError, Unreachable: that could not be looked up.
        OSError: the kernel or the disk refused something.
    """
    target = directory.volume(volume.name)
    context = facts.pod.spec.securityContext
    group = context.fsGroup if context else None
    if volume.emptyDir is not None:
        return _empty_directory(target, volume.emptyDir, group)
    if volume.hostPath is not None:
        return _host_path(volume.hostPath)
    if volume.configMap or volume.secret or volume.downwardAPI or volume.projected:
        files = await _files_of(facts, volume, sources)
        write(target, files, group=group)
        return target
    raise VolumeError(f'volume "{volume.name}" is of a kind that this node does not know')


def changes(volume: Volume) -> bool:
    """Whether a volume's files follow objects that may change."""
    return bool(volume.configMap or volume.secret or volume.downwardAPI or volume.projected)


def tear_down(directory: PodDirectory) -> None:
    """Unmount what is mounted of a Pod's volumes, so that its files can be removed."""
    volumes = directory.path / "volumes"
    if volumes.is_dir():
        for path in volumes.iterdir():
            if is_mount_point(path):
                mounts.unmount(path)


def _empty_directory(target: Path, source: EmptyDirVolumeSource, group: int | None) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    if source.medium == "Memory" and not is_mount_point(target):
        limit = source.sizeLimit
        size = f",size={quantity.whole(limit)}" if limit not in (None, "", "0", 0) else ""
        mounts.mount_tmpfs(target, f"mode=1777{size}")
    if group is not None:
        os.chown(target, -1, group)
    # A tmpfs has the sticky bit, as upstream leaves it.
    sticky = 0o1000 if source.medium == "Memory" else 0
    target.chmod(sticky | (0o2777 if group is not None else 0o777))
    return target


def _host_path(source: HostPathVolumeSource) -> Path:
    path = Path(source.path)
    kind = source.type or ""
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True, mode=0o755)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    elif not kind and not path.exists():
        path.mkdir(parents=True, mode=0o755)
    checks = {
        "Directory": (path.is_dir, "directory"),
        "DirectoryOrCreate": (path.is_dir, "directory"),
        "File": (path.is_file, "file"),
        "FileOrCreate": (path.is_file, "file"),
        "Socket": (path.is_socket, "socket"),
        "CharDevice": (path.is_char_device, "character device"),
        "BlockDevice": (path.is_block_device, "block device"),
    }
    if kind in checks and not checks[kind][0]():
        raise VolumeError(f"hostPath type check failed: {source.path} is not a {checks[kind][1]}")
    return path


@dataclass(frozen=True)
class _Keys:
    """Which keys of a ConfigMap or Secret become files, and how."""

    items: list[KeyToPath]
    mode: int | None
    optional: bool | None


async def _files_of(facts: PodFacts, volume: Volume, sources: Sources) -> dict[str, VolumeFile]:
    namespace = facts.pod.metadata.namespace
    if source := volume.configMap:
        keys = _Keys(source.items, source.defaultMode, source.optional)
        return await _config_map(namespace, source.name, keys, sources)
    if secret := volume.secret:
        keys = _Keys(secret.items, secret.defaultMode, secret.optional)
        return await _secret(namespace, secret.secretName, keys, sources)
    if downward := volume.downwardAPI:
        return _downward(facts, downward.items, downward.defaultMode)
    assert volume.projected
    return await _projected(facts, volume.projected, sources)


async def _projected(
    facts: PodFacts, projected: ProjectedVolumeSource, sources: Sources
) -> dict[str, VolumeFile]:
    meta = facts.pod.metadata
    mode = projected.defaultMode
    files: dict[str, VolumeFile] = {}
    for source in projected.sources:
        if part := source.configMap:
            keys = _Keys(part.items, mode, part.optional)
            files |= await _config_map(meta.namespace, part.name, keys, sources)
        elif secret := source.secret:
            keys = _Keys(secret.items, mode, secret.optional)
            files |= await _secret(meta.namespace, secret.name, keys, sources)
        elif downward := source.downwardAPI:
            files |= _downward(facts, downward.items, mode)
        elif token := source.serviceAccountToken:
            text = await sources.token(
                meta.namespace,
                facts.pod.spec.serviceAccountName or "default",
                audience=token.audience,
                seconds=token.expirationSeconds or _DEFAULT_TOKEN_SECONDS,
                pod_name=meta.name,
                pod_uid=meta.uid,
            )
            files[token.path] = _token_file(facts.pod, text, mode)
        else:
            raise VolumeError("a projected volume has a source that this node does not know")
    return files


def _token_file(pod: Pod, text: str, mode: int | None) -> VolumeFile:
    """Only who needs a token is to read it, where the Pod says who that is."""
    context = pod.spec.securityContext
    own = {
        each.securityContext.runAsUser
        if each.securityContext is not None and each.securityContext.runAsUser is not None
        else context.runAsUser
        if context is not None
        else None
        for each in (*pod.spec.initContainers, *pod.spec.containers)
    }
    user = own.pop() if len(own) == 1 else None
    if user is not None or (context is not None and context.fsGroup is not None):
        return VolumeFile(text.encode(), 0o600, user)
    return VolumeFile(text.encode(), _DEFAULT_MODE if mode is None else mode)


async def _config_map(namespace: str, name: str, keys: _Keys, sources: Sources) -> dict[str, VolumeFile]:
    found = await sources.config_map(namespace, name)
    if found is None:
        if keys.optional:
            return {}
        raise VolumeError(f'configmap "{name}" not found')
    data = {key: value.encode() for key, value in found.data.items()}
    data |= {key: base64.b64decode(value) for key, value in found.binaryData.items()}
    return _select(data, keys, "config")


async def _secret(namespace: str, name: str, keys: _Keys, sources: Sources) -> dict[str, VolumeFile]:
    found = await sources.secret(namespace, name)
    if found is None:
        if keys.optional:
            return {}
        raise VolumeError(f'secret "{name}" not found')
    data = {key: base64.b64decode(value) for key, value in found.data.items()}
    return _select(data, keys, "secret")


def _select(data: dict[str, bytes], keys: _Keys, what: str) -> dict[str, VolumeFile]:
    default = _DEFAULT_MODE if keys.mode is None else keys.mode
    if not keys.items:
        return {key: VolumeFile(value, default) for key, value in data.items()}
    files: dict[str, VolumeFile] = {}
    for item in keys.items:
        if item.key in data:
            files[item.path] = VolumeFile(data[item.key], default if item.mode is None else item.mode)
        elif not keys.optional:
            raise VolumeError(f"references non-existent {what} key: {item.key}")
    return files


def _downward(facts: PodFacts, items: list[DownwardAPIVolumeFile], mode: int | None) -> dict[str, VolumeFile]:
    default = _DEFAULT_MODE if mode is None else mode
    files: dict[str, VolumeFile] = {}
    try:
        for item in items:
            if item.fieldRef:
                text = field_value(facts, item.fieldRef.fieldPath)
            elif item.resourceFieldRef:
                text = resource_value(facts, Container(), item.resourceFieldRef)
            else:
                continue
            files[item.path] = VolumeFile(text.encode(), default if item.mode is None else item.mode)
    except UnknownField as error:
        raise VolumeError(str(error)) from error
    return files
