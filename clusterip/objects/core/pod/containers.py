"""Validation of a Pod's containers: those that run, those that come before, and those added later."""

from __future__ import annotations

from dataclasses import dataclass

from clusterip.objects import names, quantity
from clusterip.objects.core.containers import (
    Container,
    ContainerPort,
    ContainerRestartRule,
    EphemeralContainer,
    ResourceRequirements,
)
from clusterip.objects.core.pod.environment import validate_environment, validate_environment_from
from clusterip.objects.core.pod.handlers import validate_lifecycle, validate_probe
from clusterip.objects.core.pod.mounts import validate_mounts
from clusterip.objects.core.pod.security import validate_security_context
from clusterip.objects.core.pod.volumes import Volumes
from clusterip.objects.core.pod_spec import PodSpec
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    invalid,
    invalid_each,
    not_found,
    not_supported,
    required,
    too_many,
)
from clusterip.objects.resources import is_native, validate_amount, validate_container_resource_name
from clusterip.objects.rules import PROTOCOLS, one_of

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
TERMINATION_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESTART_POLICIES = ("Always", "Never", "OnFailure")

_RUNNING_FIELDS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_EPHEMERAL_FORBIDDEN = ("ports", "resources", *_RUNNING_FIELDS, "resizePolicy")


@dataclass(frozen=True)
class _Context:
    """What containers' rules need to know of the rest of the Pod."""

    volumes: Volumes
    grace_period: int | None
    host_users: bool


def validate_containers(spec: PodSpec, volumes: Volumes, path: Path) -> ErrorList:
    """Errors of all containers of the spec at ``path``."""
    host_users = spec.hostUsers is None or spec.hostUsers
    context = _Context(volumes, spec.terminationGracePeriodSeconds, host_users)
    return (
        _validate_main(spec.containers, context, path.child("containers"))
        + _validate_init(spec, context, path.child("initContainers"))
        + _validate_ephemeral(spec, context, path.child("ephemeralContainers"))
    )


def _validate_main(containers: list[Container], context: _Context, path: Path) -> ErrorList:
    if not containers:
        return [required(path)]
    errors: ErrorList = []
    seen: set[str] = set()
    for i, container in enumerate(containers):
        where = path.item(i)
        errors += _validate_common(container, context, where)
        if container.name in seen:
            errors.append(duplicate(where.child("name"), container.name))
        seen.add(container.name)
        errors += _validate_running(container, context, where)
        errors += _validate_restart_policy(container.restartPolicy, container.restartPolicyRules, where)
    return errors + _validate_host_ports(containers, path)


def _validate_init(spec: PodSpec, context: _Context, path: Path) -> ErrorList:
    errors: ErrorList = []
    seen = {container.name for container in spec.containers}
    for i, container in enumerate(spec.initContainers):
        where = path.item(i)
        errors += _validate_common(container, context, where)
        errors += _validate_restart_policy(container.restartPolicy, container.restartPolicyRules, where)
        if container.name in seen:
            errors.append(duplicate(where.child("name"), container.name))
        elif container.name:
            seen.add(container.name)
        errors += _validate_host_ports([container], path)
        if container.restartPolicy == "Always":
            errors += _validate_running(container, context, where)
            continue
        for name in _RUNNING_FIELDS:
            if getattr(container, name) is not None:
                message = "may not be set for init containers without restartPolicy=Always"
                errors.append(forbidden(where.child(name), message))
    return errors


def _validate_ephemeral(spec: PodSpec, context: _Context, path: Path) -> ErrorList:
    errors: ErrorList = []
    others = {container.name for container in (*spec.containers, *spec.initContainers)}
    seen = set(others)
    for i, container in enumerate(spec.ephemeralContainers):
        where = path.item(i)
        errors += _validate_common(container, context, where) + validate_image_spaces(container, where)
        if container.name in seen:
            errors.append(duplicate(where.child("name"), container.name))
        seen.add(container.name)
        target = container.targetContainerName
        if target and target not in others:
            errors.append(not_found(where.child("targetContainerName"), target))
        message = "cannot be set for an Ephemeral Container"
        for name in _EPHEMERAL_FORBIDDEN:
            if getattr(container, name) not in (None, [], ResourceRequirements()):
                errors.append(forbidden(where.child(name), message))
        for j, mount in enumerate(container.volumeMounts):
            for name in ("subPath", "subPathExpr"):
                if getattr(mount, name):
                    errors.append(forbidden(where.child("volumeMounts").item(j).child(name), message))
    return errors


def _validate_common(container: Container | EphemeralContainer, context: _Context, path: Path) -> ErrorList:
    errors: ErrorList = []
    if container.name:
        errors += invalid_each(path.child("name"), container.name, names.dns_label(container.name))
    else:
        errors.append(required(path.child("name")))
    if not container.image:
        errors.append(required(path.child("image")))
    policy = container.terminationMessagePolicy
    errors += one_of(path.child("terminationMessagePolicy"), policy, TERMINATION_MESSAGE_POLICIES)
    errors += _validate_ports(container.ports, path.child("ports"))
    errors += validate_environment(container.env, path.child("env"))
    errors += validate_environment_from(container.envFrom, path.child("envFrom"))
    errors += validate_mounts(container, context.volumes, path)
    errors += one_of(path.child("imagePullPolicy"), container.imagePullPolicy, PULL_POLICIES)
    errors += validate_requirements(container.resources, path.child("resources"))
    where = path.child("securityContext")
    return errors + validate_security_context(container.securityContext, where, context.host_users)


def _validate_running(container: Container, context: _Context, path: Path) -> ErrorList:
    return (
        validate_lifecycle(container.lifecycle, context.grace_period, path.child("lifecycle"))
        + validate_probe(container.livenessProbe, path.child("livenessProbe"), readiness=False)
        + validate_probe(container.readinessProbe, path.child("readinessProbe"), readiness=True)
        + validate_probe(container.startupProbe, path.child("startupProbe"), readiness=False)
    )


def validate_image_spaces(container: Container | EphemeralContainer, path: Path) -> ErrorList:
    """Errors of an image with spaces around it, which a template may have but not a Pod."""
    if container.image == container.image.strip():
        return []
    return [invalid(path.child("image"), container.image, "must not have leading or trailing whitespace")]


def _validate_ports(ports: list[ContainerPort], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        where = path.item(i)
        if port.name:
            problems = names.port_name(port.name)
            errors += invalid_each(where.child("name"), port.name, problems)
            if not problems and port.name in seen:
                errors.append(duplicate(where.child("name"), port.name))
            seen.add(port.name)
        if port.containerPort == 0:
            errors.append(required(where.child("containerPort")))
        else:
            rule = names.port_number(port.containerPort)
            errors += invalid_each(where.child("containerPort"), port.containerPort, rule)
        if port.hostPort != 0:
            rule = names.port_number(port.hostPort)
            errors += invalid_each(where.child("hostPort"), port.hostPort, rule)
        errors += one_of(where.child("protocol"), port.protocol, PROTOCOLS)
    return errors


def _validate_host_ports(containers: list[Container], path: Path) -> ErrorList:
    errors: ErrorList = []
    seen: set[str] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.ports):
            key = f"{port.protocol}/{port.hostIP}/{port.hostPort}"
            if port.hostPort and key in seen:
                errors.append(duplicate(path.item(i).child("ports").item(j).child("hostPort"), key))
            seen.add(key)
    return errors


def _validate_restart_policy(policy: str | None, rules: list[ContainerRestartRule], path: Path) -> ErrorList:
    errors: ErrorList = []
    where = path.child("restartPolicy")
    if policy is None:
        if rules:
            errors.append(required(where, "must specify restartPolicy when restart rules are used"))
    elif policy not in RESTART_POLICIES:
        errors.append(not_supported(where, policy, RESTART_POLICIES))
    path = path.child("restartPolicyRules")
    if len(rules) > 20:
        errors.append(too_many(path, len(rules), 20))
    for i, rule in enumerate(rules):
        if rule.action != "Restart":
            errors.append(not_supported(path.item(i).child("action"), rule.action, ["Restart"]))
        where = path.item(i).child("exitCodes")
        if rule.exitCodes is None:
            errors.append(required(where, "must be specified"))
            continue
        if rule.exitCodes.operator not in ("In", "NotIn"):
            errors.append(not_supported(where.child("operator"), rule.exitCodes.operator, ["In", "NotIn"]))
        if len(rule.exitCodes.values) > 255:
            errors.append(too_many(where.child("values"), len(rule.exitCodes.values), 255))
    return errors


def validate_requirements(resources: ResourceRequirements, path: Path) -> ErrorList:
    """Errors of what a container asks for: known names, amounts, no request above its limit."""
    errors: ErrorList = []
    limits, requests = path.child("limits"), path.child("requests")
    for name, amount in resources.limits.items():
        where = limits.key(name)
        errors += validate_container_resource_name(name, where) + validate_amount(name, amount, where)
    for name, amount in resources.requests.items():
        where = requests.key(name)
        own = validate_container_resource_name(name, where) + validate_amount(name, amount, where)
        errors += own
        overcommit = is_native(name) and not name.startswith("hugepages-")
        limit = resources.limits.get(name)
        if limit is None:
            if not overcommit:
                errors.append(required(limits, "Limit must be set for non overcommitable resources"))
        elif not own and not validate_amount(name, limit, where):
            wanted, most = quantity.parse(amount), quantity.parse(limit)
            if wanted != most and not overcommit:
                errors.append(invalid(requests, amount, f"must be equal to {name} limit of {limit}"))
            elif wanted > most:
                message = f"must be less than or equal to {name} limit of {limit}"
                errors.append(invalid(requests, amount, message))
    return errors
