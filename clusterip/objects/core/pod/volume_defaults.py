"""What a Pod's volumes get for fields left out."""

from __future__ import annotations

from clusterip.objects.core.volumes import (
    DownwardAPIVolumeFile,
    EmptyDirVolumeSource,
    ProjectedVolumeSource,
    Volume,
)
from clusterip.objects.resources import canonical_or_same

FILE_MODE = 0o644
TOKEN_SECONDS = 3600

SOURCES = tuple(name for name in Volume.__struct_fields__ if name != "name")
"""The fields of a volume of which exactly one says where its files come from."""


def set_volume_defaults(volume: Volume) -> None:
    if all(getattr(volume, source) is None for source in SOURCES):
        volume.emptyDir = EmptyDirVolumeSource()
    if volume.emptyDir is not None and volume.emptyDir.sizeLimit is not None:
        volume.emptyDir.sizeLimit = canonical_or_same(volume.emptyDir.sizeLimit)
    if volume.hostPath is not None and volume.hostPath.type is None:
        volume.hostPath.type = ""
    for source in (volume.secret, volume.configMap, volume.downwardAPI, volume.projected):
        if source is not None and source.defaultMode is None:
            source.defaultMode = FILE_MODE
    if volume.downwardAPI is not None:
        _set_file_defaults(volume.downwardAPI.items)
    if volume.projected is not None:
        _set_projection_defaults(volume.projected)
    if volume.image is not None and not volume.image.pullPolicy:
        tagged_latest = volume.image.reference.endswith(":latest")
        volume.image.pullPolicy = "Always" if tagged_latest else "IfNotPresent"


def _set_projection_defaults(projected: ProjectedVolumeSource) -> None:
    for source in projected.sources:
        if source.downwardAPI is not None:
            _set_file_defaults(source.downwardAPI.items)
        token = source.serviceAccountToken
        if token is not None and token.expirationSeconds is None:
            token.expirationSeconds = TOKEN_SECONDS


def _set_file_defaults(files: list[DownwardAPIVolumeFile]) -> None:
    for file in files:
        if file.fieldRef is not None:
            file.fieldRef.apiVersion = file.fieldRef.apiVersion or "v1"
