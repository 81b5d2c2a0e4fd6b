"""PersistentVolumeClaim, of which StatefulSets hold templates. The kind itself has no resource here."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import ListMap, ResourceList, Struct, always
from clusterip.objects.core.volumes import PersistentVolumeClaimSpec
from clusterip.objects.enums import (
    PersistentVolumeAccessMode,
    PersistentVolumeClaimConditionType,
    PersistentVolumeClaimModifyVolumeStatus,
    PersistentVolumeClaimPhase,
)
from clusterip.objects.meta import Object
from clusterip.objects.scalars import ConditionStatus, Time


class ModifyVolumeStatus(Struct):
    targetVolumeAttributesClassName: str = ""
    status: PersistentVolumeClaimModifyVolumeStatus = always("")


class PersistentVolumeClaimCondition(Struct):
    type: PersistentVolumeClaimConditionType = always("")
    status: ConditionStatus = always("")
    lastProbeTime: Time | None = always(None)
    lastTransitionTime: Time | None = always(None)
    reason: str = ""
    message: str = ""


class PersistentVolumeClaimStatus(Struct):
    phase: PersistentVolumeClaimPhase = ""
    accessModes: list[PersistentVolumeAccessMode] = []
    capacity: ResourceList = {}
    conditions: Annotated[list[PersistentVolumeClaimCondition], ListMap(("type",), merge="type")] = []
    allocatedResources: ResourceList = {}
    allocatedResourceStatuses: dict[str, str] = {}
    currentVolumeAttributesClassName: str | None = None
    modifyVolumeStatus: ModifyVolumeStatus | None = None


class PersistentVolumeClaim(Object):
    """A request for storage."""

    spec: PersistentVolumeClaimSpec = msgspec.field(default_factory=PersistentVolumeClaimSpec)
    status: PersistentVolumeClaimStatus = msgspec.field(default_factory=PersistentVolumeClaimStatus)
