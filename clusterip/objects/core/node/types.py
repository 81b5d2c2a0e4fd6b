"""The fields of a Node and of what it reports of itself."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import ListMap, ListSet, ResourceList, Struct, always, always_list
from clusterip.objects.enums import (
    NodeAddressType,
    NodeConditionType,
    NodePhase,
    TaintEffect,
    UniqueVolumeName,
)
from clusterip.objects.meta import Object
from clusterip.objects.scalars import UID, ConditionStatus, Int32, Int64, Time


class AttachedVolume(Struct):
    name: UniqueVolumeName = always("")
    devicePath: str = always("")


class ConfigMapNodeConfigSource(Struct):
    namespace: str = always("")
    name: str = always("")
    uid: UID = ""
    resourceVersion: str = ""
    kubeletConfigKey: str = always("")


class ContainerImage(Struct):
    names: list[str] = always_list()
    sizeBytes: Int64 = 0


class DaemonEndpoint(Struct):
    """A port of a daemon on the Node. Its JSON name is capitalized, unlike all others."""

    Port: Int32 = always(0)


class NodeConfigSource(Struct):
    configMap: ConfigMapNodeConfigSource | None = None


class Taint(Struct):
    """Keeps Pods that do not tolerate it away from a Node."""

    key: str = always("")
    value: str = ""
    effect: TaintEffect = always("")
    timeAdded: Time | None = None


class NodeSpec(Struct):
    """What a Node should be. ``podCIDR`` is always the first of ``podCIDRs``."""

    podCIDR: str = ""
    podCIDRs: Annotated[list[str], ListSet(merge=True)] = []
    providerID: str = ""
    unschedulable: bool = False
    taints: list[Taint] = []
    configSource: NodeConfigSource | None = None
    externalID: str = ""


class NodeAddress(Struct):
    """An address of a Node; ``type`` is InternalIP, ExternalIP or Hostname."""

    type: NodeAddressType = always("")
    address: str = always("")


class NodeCondition(Struct):
    type: NodeConditionType = always("")
    status: ConditionStatus = always("")
    lastHeartbeatTime: Time | None = always(None)
    lastTransitionTime: Time | None = always(None)
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
    name: str = always("")
    features: NodeRuntimeHandlerFeatures | None = None


class NodeSwapStatus(Struct):
    capacity: Int64 | None = None


class NodeSystemInfo(Struct):
    machineID: str = always("")
    systemUUID: str = always("")
    bootID: str = always("")
    kernelVersion: str = always("")
    osImage: str = always("")
    containerRuntimeVersion: str = always("")
    kubeletVersion: str = always("")
    kubeProxyVersion: str = always("")
    operatingSystem: str = always("")
    architecture: str = always("")
    swap: NodeSwapStatus | None = None


class NodeStatus(Struct):
    """What a Node reports. ``capacity`` is what it has, ``allocatable`` what Pods may use of it."""

    capacity: ResourceList = {}
    allocatable: ResourceList = {}
    phase: NodePhase = ""
    conditions: Annotated[list[NodeCondition], ListMap(("type",), merge="type")] = []
    addresses: Annotated[list[NodeAddress], ListMap(("type",), merge="type")] = []
    daemonEndpoints: NodeDaemonEndpoints = msgspec.field(default_factory=NodeDaemonEndpoints)
    nodeInfo: NodeSystemInfo = msgspec.field(default_factory=NodeSystemInfo)
    images: list[ContainerImage] = []
    volumesInUse: list[UniqueVolumeName] = []
    volumesAttached: list[AttachedVolume] = []
    config: NodeConfigStatus | None = None
    runtimeHandlers: list[NodeRuntimeHandler] = []
    features: NodeFeatures | None = None
    declaredFeatures: list[str] = []


class Node(Object):
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)
