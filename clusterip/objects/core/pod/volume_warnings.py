"""What is odd about a Pod's volumes: kinds that no longer work, files that hide each other."""

from __future__ import annotations

from collections.abc import Iterable

from clusterip.objects.core.volumes import DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection
from clusterip.objects.errors import Path

_RETIRED = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SHOWN = {"storageos": "storageOS"}


class _File:
    """A file of a volume, and in a projected one also where it comes from."""

    def __init__(self, path: str, source: str = "") -> None:
        self.path = path.rstrip("/")
        self.source = source

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'

    def hides(self, other: _File) -> bool:
        if not self.path or not other.path:
            return False
        mine, its = f"{self.path}/", f"{other.path}/"
        return mine.startswith(its) or its.startswith(mine)


def volume_warnings(volumes: list[Volume], path: Path) -> list[str]:
    """Warnings of the volumes at ``path`` (``pkg/api/pod/warnings.go``)."""
    found: list[str] = []
    for i, volume in enumerate(volumes):
        for name, message in _RETIRED.items():
            if getattr(volume, name) is not None:
                found.append(f"{path.item(i).child(_SHOWN.get(name, name))}: {message}")
    for volume in volumes:
        found += _overlaps(volume)
    return found


def _overlaps(volume: Volume) -> list[str]:
    found: list[str] = []
    if volume.configMap is not None:
        title = f'ConfigMap "{volume.configMap.name}"'
        found += _collisions(volume.name, title, _files(volume.configMap.items))
    if volume.secret is not None:
        title = f'Secret "{volume.secret.secretName}"'
        found += _collisions(volume.name, title, _files(volume.secret.items))
    if volume.downwardAPI is not None:
        found += _collisions(volume.name, "DownwardAPI", _files(volume.downwardAPI.items))
    if volume.projected is not None:
        files: list[_File] = []
        for source in volume.projected.sources:
            if all(getattr(source, name) is None for name in source.__struct_fields__):
                found.append(f'volume "{volume.name}" (Projected) has no sources provided')
            files += _projected(source)
        found += _collisions(volume.name, "Projected", files)
    return found


def _files(items: Iterable[KeyToPath | DownwardAPIVolumeFile], source: str = "") -> list[_File]:
    return [_File(item.path, source) for item in items]


def _projected(source: VolumeProjection) -> list[_File]:
    if source.configMap is not None and source.configMap.items:
        return _files(source.configMap.items, f'ConfigMap "{source.configMap.name}"')
    if source.secret is not None and source.secret.items:
        return _files(source.secret.items, f'Secret "{source.secret.name}"')
    if source.downwardAPI is not None and source.downwardAPI.items:
        return _files(source.downwardAPI.items, "DownwardAPI")
    if source.serviceAccountToken is not None:
        return [_File(source.serviceAccountToken.path, "ServiceAccountToken")]
    if source.clusterTrustBundle is not None:
        bundle = source.clusterTrustBundle
        return [_File(bundle.path, f'ClusterTrustBundle "{bundle.name or bundle.signerName or ""}"')]
    return []


def _collisions(volume: str, title: str, files: list[_File]) -> list[str]:
    found: list[str] = []
    for i, file in enumerate(files):
        for other in files[:i]:
            if file.hides(other):
                found.append(f'volume "{volume}" ({title}): overlapping paths: {file} with {other}')
    return found
