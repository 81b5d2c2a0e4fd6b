"""StatefulSet: its fields."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import IntOrString, ListMap, Struct, always
from clusterip.objects.core.claims import PersistentVolumeClaim
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.enums import (
    PersistentVolumeClaimRetentionPolicyType,
    PodManagementPolicyType,
    StatefulSetConditionType,
    StatefulSetUpdateStrategyType,
)
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.scalars import ConditionStatus, Int32, Int64, Time


class RollingUpdateStatefulSetStrategy(Struct):
    """Pods numbered from ``partition`` on are replaced, at most ``maxUnavailable`` at once."""

    partition: Int32 | None = None
    maxUnavailable: IntOrString | None = None


class StatefulSetUpdateStrategy(Struct):
    type: StatefulSetUpdateStrategyType = ""
    rollingUpdate: RollingUpdateStatefulSetStrategy | None = None


class StatefulSetOrdinals(Struct):
    """The number of the first Pod."""

    start: Int32 = always(0)


class StatefulSetPersistentVolumeClaimRetentionPolicy(Struct):
    """Whether claims outlive their Pods: ``Retain`` or ``Delete``."""

    whenDeleted: PersistentVolumeClaimRetentionPolicyType = ""
    whenScaled: PersistentVolumeClaimRetentionPolicyType = ""


class StatefulSetSpec(Struct):
    replicas: Int32 | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = msgspec.field(default_factory=PodTemplateSpec)
    volumeClaimTemplates: list[PersistentVolumeClaim] = []
    serviceName: str = always("")
    podManagementPolicy: PodManagementPolicyType = ""
    updateStrategy: StatefulSetUpdateStrategy = msgspec.field(default_factory=StatefulSetUpdateStrategy)
    revisionHistoryLimit: Int32 | None = None
    minReadySeconds: Int32 = 0
    persistentVolumeClaimRetentionPolicy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    ordinals: StatefulSetOrdinals | None = None


class StatefulSetCondition(Struct):
    type: StatefulSetConditionType = always("")
    status: ConditionStatus = always("")
    lastTransitionTime: Time | None = always(None)
    reason: str = ""
    message: str = ""


class StatefulSetStatus(Struct):
    observedGeneration: Int64 = 0
    replicas: Int32 = always(0)
    readyReplicas: Int32 = 0
    currentReplicas: Int32 = 0
    updatedReplicas: Int32 = 0
    currentRevision: str = ""
    updateRevision: str = ""
    collisionCount: Int32 | None = None
    conditions: Annotated[list[StatefulSetCondition], ListMap(("type",), merge="type")] = []
    availableReplicas: Int32 = always(0)


class StatefulSet(Object):
    spec: StatefulSetSpec = msgspec.field(default_factory=StatefulSetSpec)
    status: StatefulSetStatus = msgspec.field(default_factory=StatefulSetStatus)
