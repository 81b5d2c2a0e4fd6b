"""ReplicaSet: its fields and its place in the API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import ListMap, Struct, always
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.registry import Resource, register


class ReplicaSetSpec(Struct):
    replicas: int | None = None
    minReadySeconds: int = 0
    selector: LabelSelector | None = None
    template: PodTemplateSpec = msgspec.field(default_factory=PodTemplateSpec)


class ReplicaSetCondition(Struct):
    type: str = ""
    status: str = ""
    lastTransitionTime: str | None = None
    reason: str = ""
    message: str = ""


class ReplicaSetStatus(Struct):
    replicas: int = always(0)
    fullyLabeledReplicas: int = 0
    readyReplicas: int = 0
    availableReplicas: int = 0
    terminatingReplicas: int | None = None
    observedGeneration: int = 0
    conditions: Annotated[list[ReplicaSetCondition], ListMap(("type",), merge="type")] = []


class ReplicaSet(Object):
    spec: ReplicaSetSpec = msgspec.field(default_factory=ReplicaSetSpec)
    status: ReplicaSetStatus = msgspec.field(default_factory=ReplicaSetStatus)


REPLICASETS = register(
    Resource(
        type=ReplicaSet,
        group="apps",
        version="v1",
        plural="replicasets",
        namespaced=True,
        singular="replicaset",
        short_names=("rs",),
        categories=("all",),
        status=True,
    )
)
