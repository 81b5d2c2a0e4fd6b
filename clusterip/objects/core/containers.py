"""Containers, their probes, ports, environment and resources."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import IntOrString, ListMap, ListSet, Quantity, Struct, always
from clusterip.objects.core.references import (
    ConfigMapKeySelector,
    FileKeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
)
from clusterip.objects.core.security import SecurityContext


class ConfigMapEnvSource(Struct):
    name: str = ""
    optional: bool | None = None


class ContainerPort(Struct):
    """A port that a container listens on; what is not listed is open too."""

    name: str = ""
    hostPort: int = 0
    containerPort: int = always(0)
    protocol: str = ""
    hostIP: str = ""


class ContainerResizePolicy(Struct):
    resourceName: str = always("")
    restartPolicy: str = always("")


class ContainerRestartRuleOnExitCodes(Struct):
    operator: str = always("")
    values: Annotated[list[int], ListSet()] = []


class ContainerRestartRule(Struct):
    action: str = always("")
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
    scheme: str = ""
    httpHeaders: list[HTTPHeader] = []


class SleepAction(Struct):
    seconds: int = always(0)


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
    stopSignal: str | None = None


class GRPCAction(Struct):
    port: int = always(0)
    service: str | None = None


class Probe(Struct):
    """A check repeated while a container runs. Exactly one of exec, httpGet, tcpSocket, grpc is set."""

    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initialDelaySeconds: int = 0
    timeoutSeconds: int = 0
    periodSeconds: int = 0
    successThreshold: int = 0
    failureThreshold: int = 0
    terminationGracePeriodSeconds: int | None = None


class ResourceClaim(Struct):
    name: str = always("")
    request: str = ""


class ResourceRequirements(Struct):
    """What a container gets for sure (``requests``) and at most (``limits``)."""

    limits: dict[str, Quantity] = {}
    requests: dict[str, Quantity] = {}
    claims: Annotated[list[ResourceClaim], ListMap(("name",))] = []


class VolumeDevice(Struct):
    """Where in a container a raw block device appears."""

    name: str = always("")
    devicePath: str = always("")


class VolumeMount(Struct):
    """Where in a container one of the Pod's volumes appears."""

    name: str = always("")
    readOnly: bool = False
    recursiveReadOnly: str | None = None
    mountPath: str = always("")
    subPath: str = ""
    mountPropagation: str | None = None
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
    restartPolicy: str | None = None
    restartPolicyRules: list[ContainerRestartRule] = []
    volumeMounts: Annotated[list[VolumeMount], ListMap(("mountPath",), merge="mountPath")] = []
    volumeDevices: Annotated[list[VolumeDevice], ListMap(("devicePath",), merge="devicePath")] = []
    livenessProbe: Probe | None = None
    readinessProbe: Probe | None = None
    startupProbe: Probe | None = None
    lifecycle: Lifecycle | None = None
    terminationMessagePath: str = ""
    terminationMessagePolicy: str = ""
    imagePullPolicy: str = ""
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
    restartPolicy: str | None = None
    restartPolicyRules: list[ContainerRestartRule] = []
    volumeMounts: Annotated[list[VolumeMount], ListMap(("mountPath",), merge="mountPath")] = []
    volumeDevices: Annotated[list[VolumeDevice], ListMap(("devicePath",), merge="devicePath")] = []
    livenessProbe: Probe | None = None
    readinessProbe: Probe | None = None
    startupProbe: Probe | None = None
    lifecycle: Lifecycle | None = None
    terminationMessagePath: str = ""
    terminationMessagePolicy: str = ""
    imagePullPolicy: str = ""
    securityContext: SecurityContext | None = None
    stdin: bool = False
    stdinOnce: bool = False
    tty: bool = False
    targetContainerName: str = ""
