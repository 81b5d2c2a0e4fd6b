"""What a Pod or template may say but better would not (``pkg/api/pod/warnings.go``, the likely part)."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.addresses import warn_ip
from clusterip.objects.core.containers import Container, ContainerPort, EnvVar
from clusterip.objects.core.pod.types import Pod
from clusterip.objects.core.pod_spec import PodSpec, PodTemplateSpec
from clusterip.objects.errors import Path


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
    containers = _with_paths(spec, path)
    for container, where in containers:
        found += _environment_warnings(container.env, where.child("env"))
    found += _port_warnings(containers)
    grace = spec.terminationGracePeriodSeconds
    if grace is not None and grace < 0:
        where = path.child("terminationGracePeriodSeconds")
        found.append(f"{where}: must be >= 0; negative values are invalid and will be treated as 1")
    for i, server in enumerate(spec.dnsConfig.nameservers if spec.dnsConfig is not None else ()):
        found += warn_ip(path.child("dnsConfig", "nameservers").item(i), server)
    for i, alias in enumerate(spec.hostAliases):
        found += warn_ip(path.child("hostAliases").item(i).child("ip"), alias.ip)
    return found


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


def _port_warnings(containers: list[tuple[Container, Path]]) -> list[str]:
    found: list[str] = []
    by_number: dict[tuple[int, str], list[tuple[ContainerPort, Path]]] = {}
    by_name: dict[str, Path] = {}
    same_name: list[str] = []
    for container, path in containers:
        for i, port in enumerate(container.ports):
            where = path.child("ports").item(i)
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
