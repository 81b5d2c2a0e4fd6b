"""StatefulSet: its fields."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import IntOrString, ListMap, Struct, always
from clusterip.objects.core.claims import PersistentVolumeClaim
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.meta import LabelSelector, Object


class RollingUpdateStatefulSetStrategy(Struct):
    """Pods numbered from ``partition`` on are replaced, at most ``maxUnavailable`` at once."""

    partition: int | None = None
    maxUnavailable: IntOrString | None = None


class StatefulSetUpdateStrategy(Struct):
    type: str = ""
    rollingUpdate: RollingUpdateStatefulSetStrategy | None = None


class StatefulSetOrdinals(Struct):
    """The number of the first Pod."""

    start: int = always(0)


class StatefulSetPersistentVolumeClaimRetentionPolicy(Struct):
    """Whether claims outlive their Pods: ``Retain`` or ``Delete``."""

    whenDeleted: str = ""
    whenScaled: str = ""


class StatefulSetSpec(Struct):
    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = msgspec.field(default_factory=PodTemplateSpec)
    volumeClaimTemplates: list[PersistentVolumeClaim] = []
    serviceName: str = always("")
    podManagementPolicy: str = ""
    updateStrategy: StatefulSetUpdateStrategy = msgspec.field(default_factory=StatefulSetUpdateStrategy)
    revisionHistoryLimit: int | None = None
    minReadySeconds: int = 0
    persistentVolumeClaimRetentionPolicy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    ordinals: StatefulSetOrdinals | None = None


class StatefulSetCondition(Struct):
    type: str = always("")
    status: str = always("")
    lastTransitionTime: str | None = None
    reason: str = ""
    message: str = ""


class StatefulSetStatus(Struct):
    observedGeneration: int = 0
    replicas: int = always(0)
    readyReplicas: int = 0
    currentReplicas: int = 0
    updatedReplicas: int = 0
    currentRevision: str = ""
    updateRevision: str = ""
    collisionCount: int | None = None
    conditions: Annotated[list[StatefulSetCondition], ListMap(("type",), merge="type")] = []
    availableReplicas: int = always(0)


class StatefulSet(Object):
    spec: StatefulSetSpec = msgspec.field(default_factory=StatefulSetSpec)
    status: StatefulSetStatus = msgspec.field(default_factory=StatefulSetStatus)
