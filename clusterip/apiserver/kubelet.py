"""Where the nodes' kubelets are and how to talk to them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from clusterip.apiserver import status
from clusterip.apiserver.backend import Address
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.options import Options
from clusterip.objects.core.node import NODES, Node
from clusterip.process.certfiles import CertificateFiles
from clusterip.process.run import Fatal

PORT = 10250
_PREFERRED = ("InternalIP", "ExternalIP", "Hostname")


@dataclass(frozen=True)
class Kubelet:
    """One node's kubelet; ``unchecked`` is the same without a check of its certificate."""

    address: Address
    unchecked: Address


class Kubelets:
    """Finds nodes' kubelets."""

    def __init__(self, options: Options, cache: WatchCache) -> None:
        self._cache = cache
        self._tls, self._files = _client_context(options, check=bool(options.kubelet_certificate_authority))
        self._unchecked, self._unchecked_files = _client_context(options, check=False)

    def of(self, node_name: str) -> Kubelet | None:
        """The kubelet of a node; None if there is no such node.

        Raises:
            StatusError: 500 if it has no address.
        """
        for files in (self._files, self._unchecked_files):
            if files is not None:
                files.refresh()
        entry = self._cache.of(NODES).get("", node_name)
        if entry is None:
            return None
        node: Node = entry.decode()
        port = str(node.status.daemonEndpoints.kubeletEndpoint.Port or PORT)
        addresses = {address.type: address.address for address in reversed(node.status.addresses)}
        for kind in _PREFERRED:
            if host := addresses.get(kind):
                return Kubelet(Address(host, port, self._tls), Address(host, port, self._unchecked))
        known = " ".join(f"{{{each.type} {each.address}}}" for each in node.status.addresses)
        raise status.failure(500, "", f"no preferred addresses found; known addresses: [{known}]")


def _client_context(options: Options, *, check: bool) -> tuple[ssl.SSLContext, CertificateFiles | None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if check:
        try:
            context.load_verify_locations(options.kubelet_certificate_authority)
        except (OSError, ssl.SSLError) as error:
            raise Fatal(f"cannot use --kubelet-certificate-authority: {error}") from None
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    files = None
    if options.kubelet_client_certificate:
        try:
            files = CertificateFiles(context, options.kubelet_client_certificate, options.kubelet_client_key)
        except (OSError, ssl.SSLError) as error:
            raise Fatal(f"cannot use --kubelet-client-certificate: {error}") from None
    return context, files
