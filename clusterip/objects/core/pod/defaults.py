"""What a Pod, and a template that Pods are made of, get for fields left out."""

from __future__ import annotations

import re

from clusterip.objects.core.containers import (
    Container,
    EphemeralContainer,
    HTTPGetAction,
    LifecycleHandler,
    Probe,
)
from clusterip.objects.core.pod.types import Pod, PodIP
from clusterip.objects.core.pod.volume_defaults import set_volume_defaults
from clusterip.objects.core.pod_spec import PodSpec, PodTemplateSpec
from clusterip.objects.core.security import PodSecurityContext
from clusterip.objects.resources import canonicalize

TERMINATION_GRACE_PERIOD_SECONDS = 30
SCHEDULER = "default-scheduler"


def set_defaults(pod: Pod) -> None:
    """A Pod's defaults: those of its spec, and what only Pods get and templates do not."""
    spec = pod.spec
    set_spec_defaults(spec)
    for container in (*spec.containers, *spec.initContainers):
        for name, limit in container.resources.limits.items():
            container.resources.requests.setdefault(name, limit)
        if spec.hostNetwork:
            for port in container.ports:
                port.hostPort = port.hostPort or port.containerPort
    if spec.enableServiceLinks is None:
        spec.enableServiceLinks = True
    status = pod.status
    # podIP is the older of the two and decides where they differ; clients that know only one get both.
    if status.podIP and (not status.podIPs or status.podIPs[0].ip != status.podIP):
        status.podIPs = [PodIP(ip=status.podIP)]
    elif status.podIPs:
        status.podIP = status.podIPs[0].ip


def set_template_defaults(template: PodTemplateSpec) -> None:
    """The defaults of a workload's Pod template."""
    set_spec_defaults(template.spec)


def set_spec_defaults(spec: PodSpec) -> None:
    spec.dnsPolicy = spec.dnsPolicy or "ClusterFirst"
    spec.restartPolicy = spec.restartPolicy or "Always"
    spec.schedulerName = spec.schedulerName or SCHEDULER
    if spec.securityContext is None:
        spec.securityContext = PodSecurityContext()
    if spec.terminationGracePeriodSeconds is None:
        spec.terminationGracePeriodSeconds = TERMINATION_GRACE_PERIOD_SECONDS
    # Two names of one field; both are always written.
    spec.serviceAccountName = spec.serviceAccountName or spec.serviceAccount
    spec.serviceAccount = spec.serviceAccountName
    if spec.resources is not None:
        canonicalize(spec.resources.limits)
        canonicalize(spec.resources.requests)
    canonicalize(spec.overhead)
    for volume in spec.volumes:
        set_volume_defaults(volume)
    every: list[Container | EphemeralContainer] = [*spec.initContainers, *spec.containers]
    every += spec.ephemeralContainers
    for container in every:
        _set_container_defaults(container)


def _set_container_defaults(container: Container | EphemeralContainer) -> None:
    if not container.imagePullPolicy:
        container.imagePullPolicy = pull_policy(container.image)
    container.terminationMessagePath = container.terminationMessagePath or "/dev/termination-log"
    container.terminationMessagePolicy = container.terminationMessagePolicy or "File"
    canonicalize(container.resources.limits)
    canonicalize(container.resources.requests)
    for port in container.ports:
        port.protocol = port.protocol or "TCP"
    for variable in container.env:
        source = variable.valueFrom
        if source is not None and source.fieldRef is not None:
            source.fieldRef.apiVersion = source.fieldRef.apiVersion or "v1"
    for probe in (container.livenessProbe, container.readinessProbe, container.startupProbe):
        if probe is not None:
            _set_probe_defaults(probe)
    if container.lifecycle is not None:
        for handler in (container.lifecycle.postStart, container.lifecycle.preStop):
            _set_handler_defaults(handler)


def _set_probe_defaults(probe: Probe) -> None:
    probe.timeoutSeconds = probe.timeoutSeconds or 1
    probe.periodSeconds = probe.periodSeconds or 10
    probe.successThreshold = probe.successThreshold or 1
    probe.failureThreshold = probe.failureThreshold or 3
    _set_http_defaults(probe.httpGet)
    if probe.grpc is not None and probe.grpc.service is None:
        probe.grpc.service = ""


def _set_handler_defaults(handler: LifecycleHandler | None) -> None:
    if handler is not None:
        _set_http_defaults(handler.httpGet)


def _set_http_defaults(action: HTTPGetAction | None) -> None:
    if action is not None:
        action.path = action.path or "/"
        action.scheme = action.scheme or "HTTP"


_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])"
_IMAGE = re.compile(
    rf"(?:(?:{_HOST}(?:\.{_HOST})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?{_NAME}(?:/{_NAME})*"
    r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
"""The names of images that there can be (``distribution/reference``)."""


def pull_policy(image: str) -> str:
    """When an image is pulled unless the Pod says: always for ``latest``, which may be another by now."""
    if not _IMAGE.fullmatch(image) or len(image.rpartition("/")[0]) > 255:
        return "IfNotPresent"  # what is no image's name has no tag
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    if not colon:
        tag = "" if digest else "latest"
    return "Always" if tag == "latest" else "IfNotPresent"
