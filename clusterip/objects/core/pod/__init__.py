"""Pod: containers that share a network, an address and a life."""

from clusterip.objects.core.pod.changes import prepare_create, prepare_status_update, prepare_update
from clusterip.objects.core.pod.defaults import set_defaults
from clusterip.objects.core.pod.ephemeral import (
    prepare_ephemeral_update,
    validate_ephemeral_update,
)
from clusterip.objects.core.pod.table import COLUMNS, row
from clusterip.objects.core.pod.types import (
    ContainerExtendedResourceRequest,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    ContainerUser,
    HostIP,
    ImageVolumeStatus,
    LinuxContainerUser,
    NodeAllocatableResourceClaimStatus,
    Pod,
    PodCondition,
    PodExtendedResourceClaimStatus,
    PodIP,
    PodResourceClaimStatus,
    PodStatus,
    ResourceHealth,
    ResourceStatus,
    VolumeMountStatus,
    VolumeStatus,
)
from clusterip.objects.core.pod.validation import validate, validate_status_update, validate_update
from clusterip.objects.core.pod.warnings import warnings
from clusterip.objects.core.pod_spec import PodSpec, PodTemplateSpec
from clusterip.objects.registry import Part, Resource, register

__all__ = [
    "PODS",
    "ContainerExtendedResourceRequest",
    "ContainerState",
    "ContainerStateRunning",
    "ContainerStateTerminated",
    "ContainerStateWaiting",
    "ContainerStatus",
    "ContainerUser",
    "HostIP",
    "ImageVolumeStatus",
    "LinuxContainerUser",
    "NodeAllocatableResourceClaimStatus",
    "Pod",
    "PodCondition",
    "PodExtendedResourceClaimStatus",
    "PodIP",
    "PodResourceClaimStatus",
    "PodSpec",
    "PodStatus",
    "PodTemplateSpec",
    "ResourceHealth",
    "ResourceStatus",
    "VolumeMountStatus",
    "VolumeStatus",
]

PODS = register(
    Resource(
        type=Pod,
        group="",
        version="v1",
        plural="pods",
        namespaced=True,
        singular="pod",
        short_names=("po",),
        categories=("all",),
        status=True,
        set_defaults=set_defaults,
        prepare_create=prepare_create,
        prepare_update=prepare_update,
        prepare_status_update=prepare_status_update,
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_status_update,
        warnings=warnings,
        parts={"ephemeralcontainers": Part(prepare_ephemeral_update, validate_ephemeral_update)},
        columns=COLUMNS,
        row=row,
        fields={
            "spec.nodeName": lambda pod: pod.spec.nodeName,
            "spec.restartPolicy": lambda pod: pod.spec.restartPolicy,
            "spec.schedulerName": lambda pod: pod.spec.schedulerName,
            "spec.serviceAccountName": lambda pod: pod.spec.serviceAccountName,
            "spec.hostNetwork": lambda pod: "true" if pod.spec.hostNetwork else "false",
            "status.phase": lambda pod: pod.status.phase,
            "status.podIP": lambda pod: pod.status.podIPs[0].ip if pod.status.podIPs else "",
            "status.podIPs": lambda pod: pod.status.podIPs[0].ip if pod.status.podIPs else "",
            "status.nominatedNodeName": lambda pod: pod.status.nominatedNodeName,
        },
    )
)
