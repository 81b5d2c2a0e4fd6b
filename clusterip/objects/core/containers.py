"""Containers, their probes, ports, environment and resources."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import IntOrString, ListMap, ListSet, ResourceList, Struct, always
from clusterip.objects.core.references import (
    ConfigMapKeySelector,
    FileKeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
)
from clusterip.objects.core.security import SecurityContext
from clusterip.objects.enums import (
    ContainerRestartPolicy,
    ContainerRestartRuleAction,
    ContainerRestartRuleOnExitCodesOperator,
    MountPropagationMode,
    Protocol,
    PullPolicy,
    RecursiveReadOnlyMode,
    ResourceName,
    ResourceResizeRestartPolicy,
    Signal,
    TerminationMessagePolicy,
    URIScheme,
)
from clusterip.objects.scalars import Int32, Int64


class ConfigMapEnvSource(Struct):
    name: str = ""
    optional: bool | None = None


class ContainerPort(Struct):
    """A port that a container listens on; what is not listed is open too."""

    name: str = ""
    hostPort: Int32 = 0
    containerPort: Int32 = always(0)
    protocol: Protocol = ""
    hostIP: str = ""


class ContainerResizePolicy(Struct):
    resourceName: ResourceName = always("")
    restartPolicy: ResourceResizeRestartPolicy = always("")


class ContainerRestartRuleOnExitCodes(Struct):
    operator: ContainerRestartRuleOnExitCodesOperator = always("")
    values: Annotated[list[Int32], ListSet()] = []


class ContainerRestartRule(Struct):
    action: ContainerRestartRuleAction = always("")
    exitCodes: ContainerRestartRuleOnExitCodes | None = None


class SecretEnvSource(Struct):
    name: str = ""
    optional: bool | None = None


class EnvFromSource(Struct):
    """All keys of a ConfigMap or Secret as environment variables."""

    prefix: str = ""
    configMapRef: ConfigMapEnvSource | None = None
    secretRef: SecretEnvSource | None = None


class EnvVarSource(Struct):
    """Where an environment variable's value comes from; exactly one is set."""

    fieldRef: ObjectFieldSelector | None = None
    resourceFieldRef: ResourceFieldSelector | None = None
    configMapKeyRef: ConfigMapKeySelector | None = None
    secretKeyRef: SecretKeySelector | None = None
    fileKeyRef: FileKeySelector | None = None


class EnvVar(Struct):
    name: str = always("")
    value: str = ""
    valueFrom: EnvVarSource | None = None


class ExecAction(Struct):
    """A command run in the container, without a shell."""

    command: list[str] = []


class HTTPHeader(Struct):
    name: str = always("")
    value: str = always("")


class HTTPGetAction(Struct):
    path: str = ""
    port: IntOrString | None = None
    host: str = ""
    scheme: URIScheme = ""
    httpHeaders: list[HTTPHeader] = []


class SleepAction(Struct):
    seconds: Int64 = always(0)


class TCPSocketAction(Struct):
    port: IntOrString | None = None
    host: str = ""


class LifecycleHandler(Struct):
    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Struct):
    """What is done right after a container starts and right before it is stopped."""

    postStart: LifecycleHandler | None = None
    preStop: LifecycleHandler | None = None
    stopSignal: Signal | None = None


class GRPCAction(Struct):
    port: Int32 = always(0)
    service: str | None = None


class Probe(Struct):
    """A check repeated while a container runs. Exactly one of exec, httpGet, tcpSocket, grpc is set."""

    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initialDelaySeconds: Int32 = 0
    timeoutSeconds: Int32 = 0
    periodSeconds: Int32 = 0
    successThreshold: Int32 = 0
    failureThreshold: Int32 = 0
    terminationGracePeriodSeconds: Int64 | None = None


class ResourceClaim(Struct):
    name: str = always("")
    request: str = ""


class ResourceRequirements(Struct):
    """What a container gets for sure (``requests``) and at most (``limits``)."""

    limits: ResourceList = {}
    requests: ResourceList = {}
    claims: Annotated[list[ResourceClaim], ListMap(("name",))] = []


class VolumeDevice(Struct):
    """Where in a container a raw block device appears."""

    name: str = always("")
    devicePath: str = always("")


class VolumeMount(Struct):
    """Where in a container one of the Pod's volumes appears."""

    name: str = always("")
    readOnly: bool = False
    recursiveReadOnly: RecursiveReadOnlyMode | None = None
    mountPath: str = always("")
    subPath: str = ""
    mountPropagation: MountPropagationMode | None = None
    subPathExpr: str = ""


class Container(Struct):
    name: str = always("")
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    workingDir: str = ""
    ports: Annotated[list[ContainerPort], ListMap(("containerPort", "protocol"), merge="containerPort")] = []
    envFrom: list[EnvFromSource] = []
    env: Annotated[list[EnvVar], ListMap(("name",), merge="name")] = []
    resources: ResourceRequirements = msgspec.field(default_factory=ResourceRequirements)
    resizePolicy: list[ContainerResizePolicy] = []
    restartPolicy: ContainerRestartPolicy | None = None
    restartPolicyRules: list[ContainerRestartRule] = []
    volumeMounts: Annotated[list[VolumeMount], ListMap(("mountPath",), merge="mountPath")] = []
    volumeDevices: Annotated[list[VolumeDevice], ListMap(("devicePath",), merge="devicePath")] = []
    livenessProbe: Probe | None = None
    readinessProbe: Probe | None = None
    startupProbe: Probe | None = None
    lifecycle: Lifecycle | None = None
    terminationMessagePath: str = ""
    terminationMessagePolicy: TerminationMessagePolicy = ""
    imagePullPolicy: PullPolicy = ""
    securityContext: SecurityContext | None = None
    stdin: bool = False
    stdinOnce: bool = False
    tty: bool = False


class EphemeralContainer(Struct):
    """A container added to a running Pod to look into it."""

    name: str = always("")
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    workingDir: str = ""
    ports: Annotated[list[ContainerPort], ListMap(("containerPort", "protocol"), merge="containerPort")] = []
    envFrom: list[EnvFromSource] = []
    env: Annotated[list[EnvVar], ListMap(("name",), merge="name")] = []
    resources: ResourceRequirements = msgspec.field(default_factory=ResourceRequirements)
    resizePolicy: list[ContainerResizePolicy] = []
    restartPolicy: ContainerRestartPolicy | None = None
    restartPolicyRules: list[ContainerRestartRule] = []
    volumeMounts: Annotated[list[VolumeMount], ListMap(("mountPath",), merge="mountPath")] = []
    volumeDevices: Annotated[list[VolumeDevice], ListMap(("devicePath",), merge="devicePath")] = []
    livenessProbe: Probe | None = None
    readinessProbe: Probe | None = None
    startupProbe: Probe | None = None
    lifecycle: Lifecycle | None = None
    terminationMessagePath: str = ""
    terminationMessagePolicy: TerminationMessagePolicy = ""
    imagePullPolicy: PullPolicy = ""
    securityContext: SecurityContext | None = None
    stdin: bool = False
    stdinOnce: bool = False
    tty: bool = False
    targetContainerName: str = ""
