"""What a Pod or template may say but better would not (``pkg/api/pod/warnings.go``, the likely part)."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.addresses import warn_ip
from clusterip.objects.base import Quantity
from clusterip.objects.core.containers import Container, ContainerPort, EnvVar
from clusterip.objects.core.pod.types import Pod
from clusterip.objects.core.pod.volume_warnings import volume_warnings
from clusterip.objects.core.pod_spec import PodSpec, PodTemplateSpec
from clusterip.objects.core.scheduling import Affinity
from clusterip.objects.errors import Path
from clusterip.objects.resources import is_fractional


def warnings(pod: Pod) -> list[str]:
    found: list[str] = []
    if problems := names.dns_label(pod.metadata.name):
        found.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
            f"a DNS label is recommended: [{' '.join(problems)}]"
        )
    return found + _spec_warnings(pod.spec, Path("spec"))


def template_warnings(template: PodTemplateSpec, path: Path) -> list[str]:
    """Warnings of the template at ``path``."""
    return _spec_warnings(template.spec, path.child("spec"))


def _spec_warnings(spec: PodSpec, path: Path) -> list[str]:
    found: list[str] = []
    for i, constraint in enumerate(spec.topologySpreadConstraints):
        if constraint.labelSelector is None:
            found.append(_matches_nothing(path.child("topologySpreadConstraints").item(i)))
    found += volume_warnings(spec.volumes, path.child("volumes"))
    seen: set[str] = set()
    for i, alias in enumerate(spec.hostAliases):
        if alias.ip in seen:
            found.append(f'{path.child("hostAliases").item(i).child("ip")}: duplicate ip "{alias.ip}"')
        seen.add(alias.ip)
    seen.clear()
    for i, secret in enumerate(spec.imagePullSecrets):
        where = path.child("imagePullSecrets").item(i).child("name")
        if secret.name in seen:
            found.append(f'{where}: duplicate name "{secret.name}"')
        seen.add(secret.name)
        if not secret.name:
            found.append(f'{where}: invalid empty name ""')
    found += _fractions(spec.overhead, path.child("overhead"))
    containers = _with_paths(spec, path)
    for container, where in containers:
        found += _fractions(container.resources.limits, where.child("resources", "limits"))
        found += _fractions(container.resources.requests, where.child("resources", "requests"))
        found += _environment_warnings(container.env, where.child("env"))
    found += _port_warnings(containers)
    grace = spec.terminationGracePeriodSeconds
    if grace is not None and grace < 0:
        where = path.child("terminationGracePeriodSeconds")
        found.append(f"{where}: must be >= 0; negative values are invalid and will be treated as 1")
    found += _affinity_warnings(spec.affinity, path.child("affinity"))
    for i, server in enumerate(spec.dnsConfig.nameservers if spec.dnsConfig is not None else ()):
        found += warn_ip(path.child("dnsConfig", "nameservers").item(i), server)
    for i, alias in enumerate(spec.hostAliases):
        found += warn_ip(path.child("hostAliases").item(i).child("ip"), alias.ip)
    return found


def _matches_nothing(path: Path) -> str:
    return f"{path.child('labelSelector')}: a null labelSelector results in matching no pod"


def _affinity_warnings(affinity: Affinity | None, path: Path) -> list[str]:
    """Warnings of terms that say nothing of which Pods they mean."""
    found: list[str] = []
    for name in ("podAffinity", "podAntiAffinity"):
        given = getattr(affinity, name, None)
        if given is None:
            continue
        where = path.child(name, "requiredDuringSchedulingIgnoredDuringExecution")
        for i, term in enumerate(given.requiredDuringSchedulingIgnoredDuringExecution):
            if term.labelSelector is None:
                found.append(_matches_nothing(where.item(i)))
        where = path.child(name, "preferredDuringSchedulingIgnoredDuringExecution")
        for i, weighted in enumerate(given.preferredDuringSchedulingIgnoredDuringExecution):
            if weighted.podAffinityTerm.labelSelector is None:
                found.append(_matches_nothing(where.item(i).child("podAffinityTerm")))
    return found


def _fractions(amounts: dict[str, Quantity], path: Path) -> list[str]:
    """Warnings of amounts of bytes that are no whole number."""
    return [
        f'{path.key(name)}: fractional byte value "{amounts[name]}" is invalid, must be an integer'
        for name in ("memory", "ephemeral-storage")
        if name in amounts and is_fractional(amounts[name])
    ]


def _with_paths(spec: PodSpec, path: Path) -> list[tuple[Container, Path]]:
    return [
        (container, path.child(name).item(i))
        for name in ("initContainers", "containers")
        for i, container in enumerate(getattr(spec, name))
    ]


def _environment_warnings(variables: list[EnvVar], path: Path) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for i, variable in enumerate(variables):
        reference = f"$({variable.name})"
        extends = variable.valueFrom is None and reference in variable.value and variable.value != reference
        if variable.name in seen and not extends:
            found.append(
                f'{path.item(i)}: hides previous definition of "{variable.name}", '
                "which may be dropped when using apply"
            )
        seen.add(variable.name)
    return found


def _as_go_shows(port: ContainerPort) -> str:
    return (
        f"{{Name:{port.name} HostPort:{port.hostPort} ContainerPort:{port.containerPort} "
        f"Protocol:{port.protocol} HostIP:{port.hostIP}}}"
    )


def _port_warnings(containers: list[tuple[Container, Path]]) -> list[str]:
    found: list[str] = []
    by_number: dict[tuple[int, str], list[tuple[ContainerPort, Path]]] = {}
    by_name: dict[str, Path] = {}
    same_name: list[str] = []
    for container, path in containers:
        for i, port in enumerate(container.ports):
            where = path.child("ports").item(i)
            if port.hostIP and not port.hostPort:
                found.append(f"{where}: hostIP set without hostPort: {_as_go_shows(port)}")
            others = by_number.setdefault((port.containerPort, port.protocol), [])
            for other, other_path in others:
                if (port.hostIP, port.hostPort) == (other.hostIP, other.hostPort):
                    found.append(f"{where}: duplicate port definition with {other_path}")
                elif not port.hostPort or not other.hostPort:
                    found.append(f"{where}: overlapping port definition with {other_path}")
                elif port.hostPort == other.hostPort and bool(port.hostIP) != bool(other.hostIP):
                    found.append(f"{where}: dangerously ambiguous port definition with {other_path}")
            others.append((port, where))
            if port.name in by_name:
                first = by_name[port.name]
                same_name.append(
                    f'{where}: duplicate port name "{port.name}" with {first}, '
                    f"services and probes that select ports by name will use {first}"
                )
            elif port.name:
                by_name[port.name] = where
    return found + same_name
