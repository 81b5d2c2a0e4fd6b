"""Validation of a Pod's volumes. Those that this system cannot mount are only checked for being one."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.core.pod.environment import validate_field_ref, validate_resource_ref
from clusterip.objects.core.pod.volume_defaults import SOURCES
from clusterip.objects.core.volumes import (
    DownwardAPIVolumeFile,
    HostPathVolumeSource,
    KeyToPath,
    NFSVolumeSource,
    ProjectedVolumeSource,
    Volume,
    VolumeProjection,
)
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.rules import file_mode, file_path, no_backsteps, valid_quantity

HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
FILE_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
MIN_TOKEN_SECONDS = 600

Volumes = dict[str, Volume]
"""The valid volumes by name, which containers may mount."""


def validate_volumes(volumes: list[Volume], path: Path) -> tuple[Volumes, ErrorList]:
    """The volumes without errors, and the errors of the others."""
    valid: Volumes = {}
    errors: ErrorList = []
    for i, volume in enumerate(volumes):
        where = path.item(i)
        own = _validate_source(volume, where)
        if volume.name:
            own += invalid_each(where.child("name"), volume.name, names.dns_label(volume.name))
        else:
            own.append(required(where.child("name")))
        if volume.name in valid:
            own.append(duplicate(where.child("name"), volume.name))
        if own:
            errors += own
        else:
            valid[volume.name] = volume
    return valid, errors


def _validate_source(volume: Volume, path: Path) -> ErrorList:
    present = [source for source in SOURCES if getattr(volume, source) is not None]
    if not present:
        return [required(path, "must specify a volume type")]
    errors: ErrorList = []
    for extra in present[1:]:
        errors.append(forbidden(path.child(extra), "may not specify more than 1 volume type"))
    where = path.child(present[0])
    if volume.emptyDir is not None and volume.emptyDir.sizeLimit is not None:
        limit = where.child("sizeLimit")
        if valid_quantity(limit, volume.emptyDir.sizeLimit):
            errors.append(forbidden(limit, "SizeLimit field must be a valid resource quantity"))
    if volume.hostPath is not None:
        errors += _validate_host_path(volume.hostPath, where)
    if volume.secret is not None:
        errors += _validate_files(volume.secret.secretName, "secretName", volume.secret.items, where)
        errors += file_mode(where.child("defaultMode"), volume.secret.defaultMode)
    if volume.configMap is not None:
        errors += _validate_files(volume.configMap.name, "name", volume.configMap.items, where)
        errors += file_mode(where.child("defaultMode"), volume.configMap.defaultMode)
    if volume.downwardAPI is not None:
        errors += file_mode(where.child("defaultMode"), volume.downwardAPI.defaultMode)
        for file in volume.downwardAPI.items:
            errors += _validate_downward_file(file, where)
    if volume.projected is not None:
        errors += _validate_projected(volume.projected, where)
    if volume.persistentVolumeClaim is not None and not volume.persistentVolumeClaim.claimName:
        errors.append(required(where.child("claimName")))
    if volume.nfs is not None:
        errors += _validate_nfs(volume.nfs, where)
    return errors


def _validate_host_path(source: HostPathVolumeSource, path: Path) -> ErrorList:
    if not source.path:
        return [required(path.child("path"))]
    errors = no_backsteps(path.child("path"), source.path)
    if source.type is not None and source.type not in HOST_PATH_TYPES:
        errors.append(not_supported(path.child("type"), source.type, HOST_PATH_TYPES))
    return errors


def _validate_nfs(source: NFSVolumeSource, path: Path) -> ErrorList:
    errors: ErrorList = []
    if not source.server:
        errors.append(required(path.child("server")))
    if not source.path:
        errors.append(required(path.child("path")))
    if not source.path.startswith("/"):
        errors.append(invalid(path.child("path"), source.path, "must be an absolute path"))
    return errors


def _validate_files(name: str, field: str, items: list[KeyToPath], path: Path) -> ErrorList:
    errors: ErrorList = [] if name else [required(path.child(field))]
    for i, item in enumerate(items):
        where = path.child("items").item(i)
        errors += [required(where.child("key"))] if not item.key else []
        errors += [required(where.child("path"))] if not item.path else []
        errors += file_path(where.child("path"), item.path)
        errors += file_mode(where.child("mode"), item.mode)
    return errors


def _validate_downward_file(file: DownwardAPIVolumeFile, path: Path) -> ErrorList:
    errors: ErrorList = [] if file.path else [required(path.child("path"))]
    errors += file_path(path.child("path"), file.path)
    if file.fieldRef is not None:
        errors += validate_field_ref(file.fieldRef, FILE_FIELDS, path.child("fieldRef"))
        if file.resourceFieldRef is not None:
            message = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid(path, "resource", message))
    elif file.resourceFieldRef is not None:
        where = path.child("resourceFieldRef")
        errors += validate_resource_ref(file.resourceFieldRef, where, container_required=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + file_mode(path.child("mode"), file.mode)


def _validate_projected(projected: ProjectedVolumeSource, path: Path) -> ErrorList:
    errors = file_mode(path.child("defaultMode"), projected.defaultMode)
    seen: set[str] = set()
    for i, source in enumerate(projected.sources):
        errors += _validate_projection(source, path.child("sources").item(i), seen)
    return errors


def _validate_projection(source: VolumeProjection, path: Path, seen: set[str]) -> ErrorList:
    present = [name for name in source.__struct_fields__ if getattr(source, name) is not None]
    errors: ErrorList = []
    for extra in present[1:]:
        errors.append(forbidden(path.child(extra), "may not specify more than 1 volume type"))
    paths: list[str] = []
    if source.secret is not None:
        errors += _validate_files(source.secret.name, "name", source.secret.items, path.child("secret"))
        paths += [item.path for item in source.secret.items]
    if source.configMap is not None:
        config_map = source.configMap
        errors += _validate_files(config_map.name, "name", config_map.items, path.child("configMap"))
        paths += [item.path for item in config_map.items]
    if source.downwardAPI is not None:
        for file in source.downwardAPI.items:
            errors += _validate_downward_file(file, path.child("downwardAPI"))
            paths.append(file.path)
    token = source.serviceAccountToken
    if token is not None:
        where = path.child("serviceAccountToken")
        token_path = Path(path.rpartition(".")[0]).child("path")  # upstream loses the source here
        if (token.expirationSeconds or 0) < MIN_TOKEN_SECONDS:
            message = "may not specify a duration less than 10 minutes"
            errors.append(invalid(where.child("expirationSeconds"), token.expirationSeconds, message))
        if token.path:
            errors += file_path(where.child("path"), token.path)
            paths.append(token.path)
        else:
            errors.append(required(token_path))
    for name in paths:
        if name in seen:
            errors.append(invalid(path, name, "conflicting duplicate paths"))
        seen.add(name)
    return errors
