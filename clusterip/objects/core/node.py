"""Node: its fields and its place in the API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import ListMap, ListSet, Quantity, Struct, always, always_list
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register


class AttachedVolume(Struct):
    name: str = ""
    devicePath: str = ""


class ConfigMapNodeConfigSource(Struct):
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resourceVersion: str = ""
    kubeletConfigKey: str = ""


class ContainerImage(Struct):
    names: list[str] = always_list()
    sizeBytes: int = 0


class DaemonEndpoint(Struct):
    Port: int = always(0)


class NodeConfigSource(Struct):
    configMap: ConfigMapNodeConfigSource | None = None


class Taint(Struct):
    key: str = ""
    value: str = ""
    effect: str = ""
    timeAdded: str | None = None


class NodeSpec(Struct):
    podCIDR: str = ""
    podCIDRs: Annotated[list[str], ListSet(merge=True)] = []
    providerID: str = ""
    unschedulable: bool = False
    taints: list[Taint] = []
    configSource: NodeConfigSource | None = None
    externalID: str = ""


class NodeAddress(Struct):
    type: str = ""
    address: str = ""


class NodeCondition(Struct):
    type: str = ""
    status: str = ""
    lastHeartbeatTime: str | None = None
    lastTransitionTime: str | None = None
    reason: str = ""
    message: str = ""


class NodeConfigStatus(Struct):
    assigned: NodeConfigSource | None = None
    active: NodeConfigSource | None = None
    lastKnownGood: NodeConfigSource | None = None
    error: str = ""


class NodeDaemonEndpoints(Struct):
    kubeletEndpoint: DaemonEndpoint = msgspec.field(default_factory=DaemonEndpoint)


class NodeFeatures(Struct):
    supplementalGroupsPolicy: bool | None = None


class NodeRuntimeHandlerFeatures(Struct):
    recursiveReadOnlyMounts: bool | None = None
    userNamespaces: bool | None = None


class NodeRuntimeHandler(Struct):
    name: str = ""
    features: NodeRuntimeHandlerFeatures | None = None


class NodeSwapStatus(Struct):
    capacity: int | None = None


class NodeSystemInfo(Struct):
    machineID: str = ""
    systemUUID: str = ""
    bootID: str = ""
    kernelVersion: str = ""
    osImage: str = ""
    containerRuntimeVersion: str = ""
    kubeletVersion: str = ""
    kubeProxyVersion: str = ""
    operatingSystem: str = ""
    architecture: str = ""
    swap: NodeSwapStatus | None = None


class NodeStatus(Struct):
    capacity: dict[str, Quantity] = {}
    allocatable: dict[str, Quantity] = {}
    phase: str = ""
    conditions: Annotated[list[NodeCondition], ListMap(("type",), merge="type")] = []
    addresses: Annotated[list[NodeAddress], ListMap(("type",), merge="type")] = []
    daemonEndpoints: NodeDaemonEndpoints = msgspec.field(default_factory=NodeDaemonEndpoints)
    nodeInfo: NodeSystemInfo = msgspec.field(default_factory=NodeSystemInfo)
    images: list[ContainerImage] = []
    volumesInUse: list[str] = []
    volumesAttached: list[AttachedVolume] = []
    config: NodeConfigStatus | None = None
    runtimeHandlers: list[NodeRuntimeHandler] = []
    features: NodeFeatures | None = None
    declaredFeatures: list[str] = []


class Node(Object):
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


NODES = register(
    Resource(
        type=Node,
        group="",
        version="v1",
        plural="nodes",
        namespaced=False,
        singular="node",
        short_names=("no",),
        status=True,
    )
)
