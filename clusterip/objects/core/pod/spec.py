"""Validation of a Pod's spec, be it in a Pod or in a template (``ValidatePodSpec``)."""

from __future__ import annotations

from clusterip.objects import names
from clusterip.objects.addresses import validate_ip
from clusterip.objects.core.pod.containers import validate_containers
from clusterip.objects.core.pod.scheduling import (
    validate_affinity,
    validate_spreading,
    validate_tolerations,
)
from clusterip.objects.core.pod.security import validate_pod_security_context
from clusterip.objects.core.pod.volumes import validate_volumes
from clusterip.objects.core.pod_spec import HostAlias, PodDNSConfig, PodSpec
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    invalid,
    invalid_each,
    not_supported,
    required,
    too_long,
)
from clusterip.objects.metadata import validate_labels
from clusterip.objects.rules import one_of

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")

MAX_NAMESERVERS = 3
MAX_SEARCH_PATHS = 32
MAX_SEARCH_CHARACTERS = 2048

_NAME_RULES = (
    ("serviceAccountName", names.dns_subdomain),
    ("nodeName", names.dns_subdomain),
    ("hostname", names.dns_label),
    ("subdomain", names.dns_label),
    ("priorityClassName", names.dns_subdomain),
    ("runtimeClassName", names.dns_subdomain),
)


def validate_spec(spec: PodSpec, path: Path, *, in_pod: bool) -> ErrorList:
    """Errors of the spec at ``path``; ``in_pod`` is false in a template, which has not all defaults."""
    errors: ErrorList = []
    if spec.terminationGracePeriodSeconds is None:
        errors.append(required(path.child("terminationGracePeriodSeconds")))
    volumes, volume_errors = validate_volumes(spec.volumes, path.child("volumes"))
    errors += volume_errors
    errors += validate_containers(spec, volumes, path)
    errors += _validate_host_network(spec, path, in_pod)
    errors += one_of(path.child("restartPolicy"), spec.restartPolicy, RESTART_POLICIES)
    errors += one_of(path.child("dnsPolicy"), spec.dnsPolicy, DNS_POLICIES)
    errors += validate_labels(spec.nodeSelector, path.child("nodeSelector"))
    errors += validate_pod_security_context(
        spec.securityContext,
        path.child("securityContext"),
        host_pid=spec.hostPID,
        shared_pid=bool(spec.shareProcessNamespace),
    )
    errors += validate_affinity(spec.affinity, path.child("affinity"))
    errors += _validate_dns(spec.dnsConfig, spec.dnsPolicy, path.child("dnsConfig"))
    errors += _validate_gates(spec, path)
    errors += validate_spreading(spec.topologySpreadConstraints, path.child("topologySpreadConstraints"))
    errors += _validate_hostname_override(spec, path.child("hostnameOverride"))
    for name, rule in _NAME_RULES:
        value = getattr(spec, name)
        if value:
            errors += invalid_each(path.child(name), value, rule(value))
    deadline = spec.activeDeadlineSeconds
    if deadline is not None:
        rule_errors = names.in_range(deadline, 1, 2**31 - 1)
        errors += invalid_each(path.child("activeDeadlineSeconds"), deadline, rule_errors)
    errors += validate_tolerations(spec.tolerations, path.child("tolerations"))
    errors += _validate_host_aliases(spec.hostAliases, path.child("hostAliases"))
    policy = spec.preemptionPolicy
    if policy is not None:
        errors += one_of(path.child("preemptionPolicy"), policy, PREEMPTION_POLICIES)
    if spec.os is not None and spec.os.name not in ("linux", "windows"):
        errors.append(not_supported(path.child("os", "name"), spec.os.name, ["linux", "windows"]))
    return errors


def _validate_host_network(spec: PodSpec, path: Path, in_pod: bool) -> ErrorList:
    errors: ErrorList = []
    if not spec.hostNetwork:
        return errors
    for i, container in enumerate(spec.containers):
        for j, port in enumerate(container.ports):
            if port.hostPort != port.containerPort and (in_pod or port.hostPort):
                where = path.child("containers").item(i).child("ports").item(j).child("hostPort")
                message = "must match `containerPort` when `hostNetwork` is true"
                errors.append(invalid(where, port.hostPort, message))
    return errors


def _validate_gates(spec: PodSpec, path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, gate in enumerate(spec.readinessGates):
        where = path.child("readinessGates").item(i).child("conditionType")
        errors += invalid_each(where, gate.conditionType, names.label_key(gate.conditionType))
    seen: set[str] = set()
    for i, scheduling_gate in enumerate(spec.schedulingGates):
        where, name = path.child("schedulingGates").item(i), scheduling_gate.name
        errors += invalid_each(where, name, names.label_key(name))
        if name in seen:
            errors.append(duplicate(where, name))
        seen.add(name)
    return errors


def _validate_dns(config: PodDNSConfig | None, policy: str, path: Path) -> ErrorList:
    servers = path.child("nameservers")
    if policy == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.nameservers:
            message = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(servers, message)]
    if config is None:
        return []
    errors: ErrorList = []
    if len(config.nameservers) > MAX_NAMESERVERS:
        message = f"must not have more than {MAX_NAMESERVERS} nameservers"
        errors.append(invalid(servers, config.nameservers, message))
    for i, server in enumerate(config.nameservers):
        errors += validate_ip(servers.item(i), server)
    searches = path.child("searches")
    if len(config.searches) > MAX_SEARCH_PATHS:
        message = f"must not have more than {MAX_SEARCH_PATHS} search paths"
        errors.append(invalid(searches, config.searches, message))
    if len(" ".join(config.searches)) > MAX_SEARCH_CHARACTERS:
        limit = f"{MAX_SEARCH_CHARACTERS} characters (including spaces)"
        message = f"must not have more than {limit} in the search list"
        errors.append(invalid(searches, config.searches, message))
    for i, search in enumerate(config.searches):
        if search != ".":
            name = search.removesuffix(".")
            errors += invalid_each(searches.item(i), name, names.dns_subdomain_with_underscore(name))
    for i, option in enumerate(config.options):
        if not option.name:
            errors.append(required(path.child("options").item(i), "must not be empty"))
    return errors


def _validate_hostname_override(spec: PodSpec, path: Path) -> ErrorList:
    name = spec.hostnameOverride
    if name is None:
        return []
    errors: ErrorList = []
    if spec.setHostnameAsFQDN:
        errors.append(forbidden(path, "may not be specified when setHostnameAsFQDN is true"))
    if spec.hostNetwork:
        errors.append(forbidden(path, "may not be specified when hostNetwork is true"))
    if len(name) > 64:
        errors.append(too_long(path, 64))
    return errors + invalid_each(path, name, names.dns_subdomain(name))


def _validate_host_aliases(aliases: list[HostAlias], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, alias in enumerate(aliases):
        errors += validate_ip(path.item(i).child("ip"), alias.ip)
        for j, name in enumerate(alias.hostnames):
            where = path.item(i).child("hostnames").item(j)
            errors += invalid_each(where, name, names.dns_subdomain(name))
    return errors
