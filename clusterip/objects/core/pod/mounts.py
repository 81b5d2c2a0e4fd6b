"""Validation of what containers mount: it must be one of the Pod's volumes, each place only once."""

from __future__ import annotations

from clusterip.objects.core.containers import Container, EphemeralContainer, VolumeDevice, VolumeMount
from clusterip.objects.core.pod.volumes import Volumes
from clusterip.objects.errors import ErrorList, Path, forbidden, invalid, not_found, not_supported, required
from clusterip.objects.rules import descending_path

MOUNT_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")

_UNIQUE = "must be unique"


def validate_mounts(container: Container | EphemeralContainer, volumes: Volumes, path: Path) -> ErrorList:
    """Errors of a container's ``volumeMounts`` and ``volumeDevices``."""
    mounts = {mount.name: mount.mountPath for mount in container.volumeMounts}
    devices = {device.name: device.devicePath for device in container.volumeDevices}
    errors: ErrorList = []
    taken: set[str] = set()
    for i, mount in enumerate(container.volumeMounts):
        list_path = path.child("volumeMounts")
        where = list_path.item(i)
        errors += _validate_name(mount.name, volumes, where)
        if not mount.mountPath:
            errors.append(required(where.child("mountPath")))
        if mount.mountPath in taken:
            errors.append(invalid(where.child("mountPath"), mount.mountPath, _UNIQUE))
        taken.add(mount.mountPath)
        if mount.name in devices:
            errors.append(invalid(where.child("name"), mount.name, "must not already exist in volumeDevices"))
        if mount.mountPath in devices.values():
            message = "must not already exist as a path in volumeDevices"
            errors.append(invalid(where.child("mountPath"), mount.mountPath, message))
        # Upstream leaves the index out of these fields' paths.
        errors += _validate_details(mount, container, list_path, where)
    return errors + _validate_devices(container.volumeDevices, mounts, volumes, path.child("volumeDevices"))


def _validate_name(name: str, volumes: Volumes, path: Path) -> ErrorList:
    errors: ErrorList = [] if name else [required(path.child("name"))]
    if name not in volumes:
        errors.append(not_found(path.child("name"), name))
    return errors


def _validate_details(
    mount: VolumeMount, container: Container | EphemeralContainer, path: Path, item: Path
) -> ErrorList:
    errors: ErrorList = []
    if mount.subPath:
        errors += descending_path(path.child("subPath"), mount.subPath)
    if mount.subPathExpr:
        if mount.subPath:
            message = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(item.child("subPathExpr"), mount.subPathExpr, message))
        errors += descending_path(path.child("subPathExpr"), mount.subPathExpr)
    propagation, where = mount.mountPropagation, path.child("mountPropagation")
    if propagation is not None and propagation not in MOUNT_PROPAGATIONS:
        errors.append(not_supported(where, propagation, MOUNT_PROPAGATIONS))
    privileged = container.securityContext is not None and container.securityContext.privileged
    if propagation == "Bidirectional" and not privileged:
        message = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(forbidden(where, message))
    return errors + _validate_recursive(mount, path.child("recursiveReadOnly"))


def _validate_recursive(mount: VolumeMount, path: Path) -> ErrorList:
    value = mount.recursiveReadOnly
    if value in (None, "Disabled"):
        return []
    if value not in RECURSIVE_READ_ONLY:
        return [not_supported(path, value, RECURSIVE_READ_ONLY)]
    errors: ErrorList = []
    if not mount.readOnly:
        errors.append(forbidden(path, "may only be specified when readOnly is true"))
    if mount.mountPropagation not in (None, "None"):
        message = "may only be specified when mountPropagation is None or not specified"
        errors.append(forbidden(path, message))
    return errors


def _validate_devices(
    devices: list[VolumeDevice], mounts: dict[str, str], volumes: Volumes, path: Path
) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, device in enumerate(devices):
        where = path.item(i)
        errors += _validate_name(device.name, volumes, where)
        volume = volumes.get(device.name)
        if volume is not None and volume.persistentVolumeClaim is None and volume.ephemeral is None:
            message = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(where.child("name"), device.name, message))
        if device.name in seen:
            errors.append(invalid(where.child("name"), device.name, _UNIQUE))
        seen.add(device.name)
        if not device.devicePath:
            errors.append(required(where.child("devicePath")))
        elif ".." in device.devicePath.split("/"):
            message = "can not contain backsteps ('..')"
            errors.append(invalid(where.child("devicePath"), device.devicePath, message))
        if any(device.devicePath == other.devicePath for other in devices[:i]):
            errors.append(invalid(where.child("devicePath"), device.devicePath, _UNIQUE))
        if device.name in mounts:
            message = "must not already exist in volumeMounts"
            errors.append(invalid(where.child("name"), device.name, message))
        if device.devicePath in mounts.values():
            message = "must not already exist as a path in volumeMounts"
            errors.append(invalid(where.child("devicePath"), device.devicePath, message))
    return errors
