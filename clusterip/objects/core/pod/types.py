"""The fields of a Pod and of what its node reports of it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import (
    Atomic,
    ListMap,
    ListSet,
    ResourceList,
    RetainKeys,
    Struct,
    always,
    always_list,
)
from clusterip.objects.core.containers import ResourceRequirements
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.enums import (
    PodConditionType,
    PodPhase,
    PodQOSClass,
    PodResizeStatus,
    RecursiveReadOnlyMode,
    ResourceHealthStatus,
    ResourceID,
    ResourceName,
    Signal,
)
from clusterip.objects.meta import Object
from clusterip.objects.scalars import ConditionStatus, Int32, Int64, Time


class ContainerExtendedResourceRequest(Struct):
    containerName: str = always("")
    resourceName: str = always("")
    requestName: str = always("")


class ContainerStateRunning(Struct):
    startedAt: Time | None = always(None)


class ContainerStateTerminated(Struct):
    exitCode: Int32 = always(0)
    signal: Int32 = 0
    reason: str = ""
    message: str = ""
    startedAt: Time | None = always(None)
    finishedAt: Time | None = always(None)
    containerID: str = ""


class ContainerStateWaiting(Struct):
    reason: str = ""
    message: str = ""


class ContainerState(Struct):
    """What a container is doing now; exactly one is set, or none if it waits."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class LinuxContainerUser(Struct):
    uid: Int64 = always(0)
    gid: Int64 = always(0)
    supplementalGroups: list[Int64] = []


class ContainerUser(Struct):
    linux: LinuxContainerUser | None = None


class ResourceHealth(Struct):
    resourceID: ResourceID = always("")
    health: ResourceHealthStatus = ""
    message: str | None = None


class ResourceStatus(Struct):
    name: ResourceName = always("")
    resources: Annotated[list[ResourceHealth], ListMap(("resourceID",))] = []


class ImageVolumeStatus(Struct):
    imageRef: str = always("")


class VolumeStatus(Struct):
    image: ImageVolumeStatus | None = None


class VolumeMountStatus(Struct):
    name: str = always("")
    mountPath: str = always("")
    readOnly: bool = False
    recursiveReadOnly: RecursiveReadOnlyMode | None = None
    volumeStatus: VolumeStatus | None = None


class ContainerStatus(Struct):
    """What a node knows of one container."""

    name: str = always("")
    state: ContainerState = msgspec.field(default_factory=ContainerState)
    lastState: ContainerState = msgspec.field(default_factory=ContainerState)
    ready: bool = always(False)
    restartCount: Int32 = always(0)
    image: str = always("")
    imageID: str = always("")
    containerID: str = ""
    started: bool | None = None
    allocatedResources: ResourceList = {}
    resources: ResourceRequirements | None = None
    volumeMounts: Annotated[list[VolumeMountStatus], ListMap(("mountPath",), merge="mountPath")] = []
    user: ContainerUser | None = None
    allocatedResourcesStatus: Annotated[list[ResourceStatus], ListMap(("name",), merge="name")] = []
    stopSignal: Signal | None = None


class HostIP(Struct):
    ip: str = always("")


class NodeAllocatableResourceClaimStatus(Struct):
    resourceClaimName: str = always("")
    containers: Annotated[list[str], ListSet()] = []
    resources: ResourceList = {}


class PodCondition(Struct):
    type: PodConditionType = always("")
    observedGeneration: Int64 = 0
    status: ConditionStatus = always("")
    lastProbeTime: Time | None = always(None)
    lastTransitionTime: Time | None = always(None)
    reason: str = ""
    message: str = ""


class PodExtendedResourceClaimStatus(Struct):
    requestMappings: list[ContainerExtendedResourceRequest] = always_list()
    resourceClaimName: str = always("")


class PodIP(Struct):
    """One address of a Pod; a dual-stack Pod has two."""

    ip: str = always("")


class PodResourceClaimStatus(Struct):
    name: str = always("")
    resourceClaimName: str | None = None


class PodStatus(Struct):
    """What is known of a Pod. ``podIP`` is always the first of ``podIPs``."""

    observedGeneration: Int64 = 0
    phase: PodPhase = ""
    conditions: Annotated[list[PodCondition], ListMap(("type",), merge="type")] = []
    message: str = ""
    reason: str = ""
    nominatedNodeName: str = ""
    hostIP: str = ""
    hostIPs: Annotated[list[HostIP], Atomic(merge="ip")] = []
    podIP: str = ""
    podIPs: Annotated[list[PodIP], ListMap(("ip",), merge="ip")] = []
    startTime: Time | None = None
    initContainerStatuses: list[ContainerStatus] = []
    containerStatuses: list[ContainerStatus] = []
    qosClass: PodQOSClass = ""
    ephemeralContainerStatuses: list[ContainerStatus] = []
    resize: PodResizeStatus = ""
    resourceClaimStatuses: Annotated[
        list[PodResourceClaimStatus], ListMap(("name",), merge="name"), RetainKeys()
    ] = []
    extendedResourceClaimStatus: PodExtendedResourceClaimStatus | None = None
    allocatedResources: ResourceList = {}
    resources: ResourceRequirements | None = None
    nodeAllocatableResourceClaimStatuses: list[NodeAllocatableResourceClaimStatus] = []


class Pod(Object):
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)
