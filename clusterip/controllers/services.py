"""What the endpoint controllers ask of Services, and which changes of a Pod matter to them."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from clusterip.controllers import pods
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service, ServicePort

HEADLESS = "service.kubernetes.io/headless"
LAST_CHANGE_TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def is_ip_set(service: Service) -> bool:
    """Whether the Service has a virtual IP; a headless one has none."""
    return service.spec.clusterIP not in ("", "None")


def wants_endpoints(service: Service) -> bool:
    """Whether its endpoints are ours to find: without a selector somebody else provides them."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def selects(service: Service, labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in service.spec.selector.items())


def family_of(address: str) -> str:
    """``IPv4`` or ``IPv6``. Raises ValueError if it is no address."""
    return "IPv6" if isinstance(ip_address(address), IPv6Address) else "IPv4"


def publishable(pod: Pod, *, terminating: bool) -> bool:
    """Whether the Pod has an address to send anything to; ``terminating`` Pods may count or not."""
    if pods.is_terminal(pod) or not pods.addresses(pod):
        return False
    return terminating or pod.metadata.deletionTimestamp is None


def hostname(pod: Pod, service: Service) -> str:
    """The Pod's name in the Service's DNS domain, or "" if it asks for none or for another domain."""
    same = pod.spec.subdomain == service.metadata.name
    return pod.spec.hostname if same and pod.metadata.namespace == service.metadata.namespace else ""


def target_port(pod: Pod, port: ServicePort) -> int | None:
    """The port on the Pod: a number, or what the Pod's containers give that name; None if none does."""
    target = port.targetPort
    if target is None or target in (0, ""):
        return port.port
    if isinstance(target, int):
        return target
    sidecars = [c for c in pod.spec.initContainers if c.restartPolicy == "Always"]
    for container in [*pod.spec.containers, *sidecars]:
        for candidate in container.ports:
            if candidate.name == target and (candidate.protocol or "TCP") == (port.protocol or "TCP"):
                return candidate.containerPort
    return None


def endpoints_changed(old: Pod, new: Pod) -> bool:
    """Whether a Pod's change can change an endpoint, apart from its labels.

    Status updates that do not, such as a condition's message, are most of all updates.
    """
    return _endpoint_facts(old) != _endpoint_facts(new)


def _endpoint_facts(pod: Pod) -> tuple[object, ...]:
    spec, meta = pod.spec, pod.metadata
    return (
        meta.uid,
        meta.deletionTimestamp is not None,
        pods.is_ready(pod),
        pods.is_terminal(pod),
        pods.addresses(pod),
        spec.nodeName,
        spec.hostname,
        spec.subdomain,
    )
