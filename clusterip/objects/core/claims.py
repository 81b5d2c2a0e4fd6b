"""PersistentVolumeClaim, of which StatefulSets hold templates. The kind itself has no resource here."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import ListMap, Quantity, Struct, always
from clusterip.objects.core.volumes import PersistentVolumeClaimSpec
from clusterip.objects.meta import Object


class ModifyVolumeStatus(Struct):
    targetVolumeAttributesClassName: str = ""
    status: str = always("")


class PersistentVolumeClaimCondition(Struct):
    type: str = always("")
    status: str = always("")
    lastProbeTime: str | None = None
    lastTransitionTime: str | None = None
    reason: str = ""
    message: str = ""


class PersistentVolumeClaimStatus(Struct):
    phase: str = ""
    accessModes: list[str] = []
    capacity: dict[str, Quantity] = {}
    conditions: Annotated[list[PersistentVolumeClaimCondition], ListMap(("type",), merge="type")] = []
    allocatedResources: dict[str, Quantity] = {}
    allocatedResourceStatuses: dict[str, str] = {}
    currentVolumeAttributesClassName: str | None = None
    modifyVolumeStatus: ModifyVolumeStatus | None = None


class PersistentVolumeClaim(Object):
    """A request for storage."""

    spec: PersistentVolumeClaimSpec = msgspec.field(default_factory=PersistentVolumeClaimSpec)
    status: PersistentVolumeClaimStatus = msgspec.field(default_factory=PersistentVolumeClaimStatus)
