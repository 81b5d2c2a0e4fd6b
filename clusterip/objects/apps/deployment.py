"""Deployment: its fields and its place in the API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import IntOrString, ListMap, RetainKeys, Struct
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.meta import LabelSelector, Object
from clusterip.objects.registry import Resource, register


class RollingUpdateDeployment(Struct):
    maxUnavailable: IntOrString | None = None
    maxSurge: IntOrString | None = None


class DeploymentStrategy(Struct):
    type: str = ""
    rollingUpdate: RollingUpdateDeployment | None = None


class DeploymentSpec(Struct):
    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = msgspec.field(default_factory=PodTemplateSpec)
    strategy: Annotated[DeploymentStrategy, RetainKeys()] = msgspec.field(default_factory=DeploymentStrategy)
    minReadySeconds: int = 0
    revisionHistoryLimit: int | None = None
    paused: bool = False
    progressDeadlineSeconds: int | None = None


class DeploymentCondition(Struct):
    type: str = ""
    status: str = ""
    lastUpdateTime: str | None = None
    lastTransitionTime: str | None = None
    reason: str = ""
    message: str = ""


class DeploymentStatus(Struct):
    observedGeneration: int = 0
    replicas: int = 0
    updatedReplicas: int = 0
    readyReplicas: int = 0
    availableReplicas: int = 0
    unavailableReplicas: int = 0
    terminatingReplicas: int | None = None
    conditions: Annotated[list[DeploymentCondition], ListMap(("type",), merge="type")] = []
    collisionCount: int | None = None


class Deployment(Object):
    spec: DeploymentSpec = msgspec.field(default_factory=DeploymentSpec)
    status: DeploymentStatus = msgspec.field(default_factory=DeploymentStatus)


DEPLOYMENTS = register(
    Resource(
        type=Deployment,
        group="apps",
        version="v1",
        plural="deployments",
        namespaced=True,
        singular="deployment",
        short_names=("deploy",),
        categories=("all",),
        status=True,
    )
)
