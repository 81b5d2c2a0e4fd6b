"""A Pod's own name, and its ``/etc/hosts``. As upstream's ``kubelet_pods.go``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clusterip.objects.core.pod import Pod

_MAXIMUM_HOSTNAME = 63
_MAXIMUM_FULL = 64  # what the kernel takes


def hostname_of(pod: Pod) -> str:
    """The Pod's short host name: ``spec.hostname`` or its name, cut to what a host name may be."""
    name = pod.spec.hostnameOverride or pod.spec.hostname or pod.metadata.name
    return name[:_MAXIMUM_HOSTNAME].rstrip("-.")


def domain_of(pod: Pod, cluster_domain: str) -> str:
    """The domain the Pod's host name is in, "" unless it has a ``subdomain``."""
    if pod.spec.subdomain and not pod.spec.hostnameOverride:
        return f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}"
    return ""


def kernel_hostname(pod: Pod, cluster_domain: str, node_name: str) -> str:
    """What ``hostname`` says in the Pod's containers.

    Raises:
        OSError: with ``setHostnameAsFQDN`` it would be longer than the kernel takes.
    """
    if pod.spec.hostNetwork and not pod.spec.hostnameOverride:
        return node_name
    hostname, domain = hostname_of(pod), domain_of(pod, cluster_domain)
    if pod.spec.setHostnameAsFQDN and domain:
        full = f"{hostname}.{domain}"
        if len(full) > _MAXIMUM_FULL:
            text = (
                f"Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long "
                f"({_MAXIMUM_FULL} characters is the max, {len(full)} characters requested)"
            )
            raise OSError(text)
        return full
    return hostname


def hosts_file(pod: Pod, addresses: Sequence[str], cluster_domain: str) -> str:
    """The content of the Pod's ``/etc/hosts``."""
    if pod.spec.hostNetwork:
        text = "# Kubernetes-managed hosts file (host network).\n" + _host_file()
    else:
        lines = [
            "# Kubernetes-managed hosts file.",
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
        ]
        hostname, domain = hostname_of(pod), domain_of(pod, cluster_domain)
        names = f"{hostname}.{domain}\t{hostname}" if domain else hostname
        lines += [f"{address}\t{names}" for address in addresses]
        text = "\n".join(lines) + "\n"
    if pod.spec.hostAliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{alias.ip}\t{chr(9).join(alias.hostnames)}\n" for alias in pod.spec.hostAliases)
    return text


def _host_file() -> str:
    try:
        return Path("/etc/hosts").read_text(errors="replace")
    except FileNotFoundError:
        return "127.0.0.1\tlocalhost\n"
