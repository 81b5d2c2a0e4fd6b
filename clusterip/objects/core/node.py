"""Node: a machine that Pods run on."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import msgspec

from clusterip.objects import names, times
from clusterip.objects.addresses import is_ipv6, validate_cidr, warn_cidr
from clusterip.objects.base import ListMap, ListSet, Quantity, Struct, always, always_list
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    go_struct,
    invalid,
    invalid_each,
    not_supported,
    required,
)
from clusterip.objects.meta import Object
from clusterip.objects.metadata import METADATA, validate_object_meta, validate_object_meta_update
from clusterip.objects.registry import Column, Resource, register
from clusterip.objects.resources import canonicalize, validate_amount
from clusterip.objects.strategy import keep_spec, keep_status
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE, UNKNOWN, wide


class AttachedVolume(Struct):
    name: str = always("")
    devicePath: str = always("")


class ConfigMapNodeConfigSource(Struct):
    namespace: str = always("")
    name: str = always("")
    uid: str = ""
    resourceVersion: str = ""
    kubeletConfigKey: str = always("")


class ContainerImage(Struct):
    names: list[str] = always_list()
    sizeBytes: int = 0


class DaemonEndpoint(Struct):
    Port: int = always(0)


class NodeConfigSource(Struct):
    configMap: ConfigMapNodeConfigSource | None = None


class Taint(Struct):
    key: str = always("")
    value: str = ""
    effect: str = always("")
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
    type: str = always("")
    address: str = always("")


class NodeCondition(Struct):
    type: str = always("")
    status: str = always("")
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


TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"
_SPEC = Path("spec")
_STATUS = Path("status")


def _set_defaults(node: Node) -> None:
    if node.status.capacity and not node.status.allocatable:
        node.status.allocatable = dict(node.status.capacity)
    canonicalize(node.status.capacity)
    canonicalize(node.status.allocatable)


def _prepare_create(node: Node) -> None:
    # A kubelet registers its node with status, so unlike other kinds' it is kept.
    node.spec.configSource = None
    node.status.config = None


def _validate(node: Node) -> ErrorList:
    errors = validate_object_meta(node.metadata, namespaced=False, name_rule=names.dns_subdomain)
    return errors + _validate_taints(node.spec.taints) + _validate_resources(node) + _validate_cidrs(node)


def _validate_update(new: Node, old: Node) -> ErrorList:
    return _validate_changes(new, old) + _validate_cidrs(new)


def _validate_changes(new: Node, old: Node) -> ErrorList:
    errors = validate_object_meta_update(new.metadata, old.metadata)
    errors += _validate_resources(new)
    for i, address in enumerate(new.status.addresses):
        if address in new.status.addresses[:i]:
            shown = go_struct(Type=address.type, Address=address.address)
            errors.append(duplicate(_STATUS.child("addresses").item(i), shown))
    if old.spec.podCIDRs and old.spec.podCIDRs != new.spec.podCIDRs:
        message = 'node updates may not change podCIDR except from "" to valid'
        errors.append(forbidden(_SPEC.child("podCIDRs"), message))
    if old.spec.providerID and old.spec.providerID != new.spec.providerID:
        message = 'node updates may not change providerID except from "" to valid'
        errors.append(forbidden(_SPEC.child("providerID"), message))
    errors += _validate_taints(new.spec.taints)
    if new.spec.externalID != old.spec.externalID:
        errors.append(forbidden(_SPEC.child("externalID"), "may not be updated"))
    return errors


def _validate_cidrs(node: Node) -> ErrorList:
    path, cidrs = _SPEC.child("podCIDRs"), node.spec.podCIDRs
    errors: ErrorList = []
    for i, cidr in enumerate(cidrs):
        errors += validate_cidr(path.item(i), cidr)
    families = {is_ipv6(cidr.partition("/")[0]) for cidr in cidrs}
    if len(cidrs) > 1 and (len(families) < 2 or len(cidrs) > 2):
        errors.append(invalid(path, cidrs, "may specify no more than one CIDR for each IP family"))
    return errors


def _validate_taints(taints: list[Taint]) -> ErrorList:
    errors: ErrorList = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        path = METADATA.child("taints").item(i)  # upstream's path, though taints are in spec
        errors += invalid_each(path.child("key"), taint.key, names.label_key(taint.key))
        if problems := names.label_value(taint.value):
            errors.append(invalid(path.child("value"), taint.value, ";".join(problems)))
        if not taint.effect:
            errors.append(required(path.child("effect")))
        elif taint.effect not in TAINT_EFFECTS:
            errors.append(not_supported(path.child("effect"), taint.effect, TAINT_EFFECTS))
        if (taint.key, taint.effect) in seen:
            error = duplicate(path, taint)
            body = f"{error.body}: taints must be unique by key and effect pair"
            errors.append(replace(error, body=body))
        seen.add((taint.key, taint.effect))
    return errors


def _validate_resources(node: Node) -> ErrorList:
    errors: ErrorList = []
    for name in ("capacity", "allocatable"):
        for resource, amount in getattr(node.status, name).items():
            errors += validate_amount(resource, amount, _STATUS.child(name, resource))
    return errors


def _warnings(node: Node) -> list[str]:
    found: list[str] = []
    if node.spec.configSource is not None:
        found.append("spec.configSource: the feature is removed")
    if node.spec.externalID:
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, cidr in enumerate(node.spec.podCIDRs):
        found += warn_cidr(f"spec.podCIDRs[{i}]", cidr)
    return found


def _row(node: Node) -> list[Any]:
    info = node.status.nodeInfo
    kernel = info.kernelVersion or UNKNOWN
    if info.architecture:
        kernel += f" ({info.architecture})"
    return [
        node.metadata.name,
        _state(node),
        ",".join(roles(node)) or NONE,
        times.age(node.metadata.creationTimestamp),
        info.kubeletVersion,
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.osImage or UNKNOWN,
        kernel,
        info.containerRuntimeVersion or UNKNOWN,
    ]


def _state(node: Node) -> str:
    state = "Unknown"
    for condition in node.status.conditions:
        if condition.type == "Ready":
            state = "Ready" if condition.status == "True" else "NotReady"
    return f"{state},SchedulingDisabled" if node.spec.unschedulable else state


def roles(node: Node) -> list[str]:
    """The roles that a node's labels give it, sorted."""
    found = set()
    for key, value in node.metadata.labels.items():
        if key.startswith(_ROLE_PREFIX):
            found.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE_LABEL:
            found.add(value)
    return sorted(found - {""})


def _address(node: Node, type_: str) -> str:
    return next((a.address for a in node.status.addresses if a.type == type_), NONE)


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
        set_defaults=_set_defaults,
        prepare_create=_prepare_create,
        prepare_update=keep_status,
        prepare_status_update=keep_spec,
        validate=_validate,
        validate_update=_validate_update,
        validate_status_update=_validate_changes,
        warnings=_warnings,
        columns=(
            NAME_COLUMN,
            Column("Status", description="Whether Pods can run on it."),
            Column("Roles", description="What it is for."),
            AGE_COLUMN,
            Column("Version", description="The version of its node agent."),
            wide("Internal-IP", "Its address inside the cluster."),
            wide("External-IP", "Its address outside."),
            wide("OS-Image", "Its operating system."),
            wide("Kernel-Version", "Its kernel and architecture."),
            wide("Container-Runtime", "What runs its containers."),
        ),
        row=_row,
        fields={"spec.unschedulable": lambda node: "true" if node.spec.unschedulable else "false"},
    )
)
