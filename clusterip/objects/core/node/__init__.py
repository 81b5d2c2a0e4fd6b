"""Node: a machine that Pods run on."""

from clusterip.objects.core.node.rules import (
    TAINT_EFFECTS,
    prepare_create,
    set_defaults,
    validate,
    validate_changes,
    validate_update,
    warnings,
)
from clusterip.objects.core.node.table import COLUMNS, roles, row
from clusterip.objects.core.node.types import (
    AttachedVolume,
    ConfigMapNodeConfigSource,
    ContainerImage,
    DaemonEndpoint,
    Node,
    NodeAddress,
    NodeCondition,
    NodeConfigSource,
    NodeConfigStatus,
    NodeDaemonEndpoints,
    NodeFeatures,
    NodeRuntimeHandler,
    NodeRuntimeHandlerFeatures,
    NodeSpec,
    NodeStatus,
    NodeSwapStatus,
    NodeSystemInfo,
    Taint,
)
from clusterip.objects.registry import Resource, register
from clusterip.objects.strategy import keep_spec, keep_status

__all__ = [
    "NODES",
    "TAINT_EFFECTS",
    "AttachedVolume",
    "ConfigMapNodeConfigSource",
    "ContainerImage",
    "DaemonEndpoint",
    "Node",
    "NodeAddress",
    "NodeCondition",
    "NodeConfigSource",
    "NodeConfigStatus",
    "NodeDaemonEndpoints",
    "NodeFeatures",
    "NodeRuntimeHandler",
    "NodeRuntimeHandlerFeatures",
    "NodeSpec",
    "NodeStatus",
    "NodeSwapStatus",
    "NodeSystemInfo",
    "Taint",
    "roles",
]

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
        set_defaults=set_defaults,
        prepare_create=prepare_create,
        prepare_update=keep_status,
        prepare_status_update=keep_spec,
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_changes,
        warnings=warnings,
        columns=COLUMNS,
        row=row,
        fields={"spec.unschedulable": lambda node: "true" if node.spec.unschedulable else "false"},
    )
)
