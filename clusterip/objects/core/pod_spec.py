"""What a Pod should be: its spec and the template that workloads stamp Pods from."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import Atomic, ListMap, ResourceList, RetainKeys, Struct, always, always_list
from clusterip.objects.core.containers import Container, EphemeralContainer, ResourceRequirements
from clusterip.objects.core.references import LocalObjectReference
from clusterip.objects.core.scheduling import Affinity, Toleration, TopologySpreadConstraint
from clusterip.objects.core.security import PodSecurityContext
from clusterip.objects.core.volumes import Volume
from clusterip.objects.enums import DNSPolicy, OSName, PodConditionType, PreemptionPolicy, RestartPolicy
from clusterip.objects.meta import ObjectMeta
from clusterip.objects.scalars import Int32, Int64


class HostAlias(Struct):
    """A line in the Pod's ``/etc/hosts``."""

    ip: str = always("")
    hostnames: list[str] = []


class PodDNSConfigOption(Struct):
    name: str = ""
    value: str | None = None


class PodDNSConfig(Struct):
    """What is added to the ``resolv.conf`` that ``dnsPolicy`` makes."""

    nameservers: list[str] = []
    searches: list[str] = []
    options: list[PodDNSConfigOption] = []


class PodOS(Struct):
    name: OSName = always("")


class PodReadinessGate(Struct):
    """A further condition that must be true before the Pod counts as ready."""

    conditionType: PodConditionType = always("")


class PodResourceClaim(Struct):
    name: str = always("")
    resourceClaimName: str | None = None
    resourceClaimTemplateName: str | None = None


class PodSchedulingGate(Struct):
    """Keeps the Pod from being scheduled until it is removed."""

    name: str = always("")


class PodSchedulingGroup(Struct):
    podGroupName: str | None = None


class PodSpec(Struct):
    volumes: Annotated[list[Volume], ListMap(("name",), merge="name"), RetainKeys()] = []
    initContainers: Annotated[list[Container], ListMap(("name",), merge="name")] = []
    containers: Annotated[list[Container], ListMap(("name",), merge="name")] = always_list()
    ephemeralContainers: Annotated[list[EphemeralContainer], ListMap(("name",), merge="name")] = []
    restartPolicy: RestartPolicy = ""
    terminationGracePeriodSeconds: Int64 | None = None
    activeDeadlineSeconds: Int64 | None = None
    dnsPolicy: DNSPolicy = ""
    nodeSelector: Annotated[dict[str, str], Atomic()] = {}
    serviceAccountName: str = ""
    serviceAccount: str = ""
    automountServiceAccountToken: bool | None = None
    nodeName: str = ""
    hostNetwork: bool = False
    hostPID: bool = False
    hostIPC: bool = False
    shareProcessNamespace: bool | None = None
    securityContext: PodSecurityContext | None = None
    imagePullSecrets: Annotated[list[LocalObjectReference], ListMap(("name",), merge="name")] = []
    hostname: str = ""
    subdomain: str = ""
    affinity: Affinity | None = None
    schedulerName: str = ""
    tolerations: list[Toleration] = []
    hostAliases: Annotated[list[HostAlias], ListMap(("ip",), merge="ip")] = []
    priorityClassName: str = ""
    priority: Int32 | None = None
    dnsConfig: PodDNSConfig | None = None
    readinessGates: list[PodReadinessGate] = []
    runtimeClassName: str | None = None
    enableServiceLinks: bool | None = None
    preemptionPolicy: PreemptionPolicy | None = None
    overhead: ResourceList = {}
    topologySpreadConstraints: Annotated[
        list[TopologySpreadConstraint], ListMap(("topologyKey", "whenUnsatisfiable"), merge="topologyKey")
    ] = []
    setHostnameAsFQDN: bool | None = None
    os: PodOS | None = None
    hostUsers: bool | None = None
    schedulingGates: Annotated[list[PodSchedulingGate], ListMap(("name",), merge="name")] = []
    resourceClaims: Annotated[list[PodResourceClaim], ListMap(("name",), merge="name"), RetainKeys()] = []
    resources: ResourceRequirements | None = None
    hostnameOverride: str | None = None
    schedulingGroup: PodSchedulingGroup | None = None


class PodTemplateSpec(Struct):
    """What a workload makes Pods from."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
