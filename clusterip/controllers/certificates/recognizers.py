"""Which requests for certificates are approved without a person, if who asks may ask for such.

The first two are upstream's (``pkg/controller/certificates/approver``). The others are what makes a machine
that has joined complete: nobody may ask for them unless a role says so (see ``Recognizer.subresource``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from clusterip.objects.certificates import CertificateSigningRequest, pkcs10
from clusterip.objects.certificates.types import CLIENT, KUBELET_CLIENT, KUBELET_SERVING
from clusterip.objects.core.node import Node

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequest as Parsed

SELF_NODE_SERVER, NODE_PARTS_RIGHT = "selfnodeserver", "nodeparts"

NODE_PARTS = ("system:kube-proxy", "system:serviceaccount:kube-system:coredns", "clusterip:network")
"""Whom the parts of a node are beside the node agent itself."""


class Recognizer(NamedTuple):
    """``subresource`` of certificatesigningrequests is what one must be allowed to create to be approved."""

    subresource: str
    message: str
    recognize: Callable[[CertificateSigningRequest, Parsed, Iterable[Node]], bool]


def _is_node_client(request: CertificateSigningRequest, parsed: Parsed) -> bool:
    if request.spec.signerName != KUBELET_CLIENT:
        return False
    return not pkcs10.kubelet_client_problem(parsed, request.spec.usages)


def _is_self(request: CertificateSigningRequest, parsed: Parsed) -> bool:
    return request.spec.username == pkcs10.common_name(parsed)


def _is_node_server(request: CertificateSigningRequest, parsed: Parsed, nodes: Iterable[Node]) -> bool:
    """A node asks for names that are its own: its own name, and addresses that no other node has."""
    from cryptography import x509

    if request.spec.signerName != KUBELET_SERVING or not _is_self(request, parsed):
        return False
    if pkcs10.kubelet_serving_problem(parsed, request.spec.usages):
        return False
    own = pkcs10.common_name(parsed).removeprefix(pkcs10.NODE_PREFIX)
    owners: dict[str, set[str]] = {}
    for node in nodes:
        for address in node.status.addresses:
            owners.setdefault(address.address, set()).add(node.metadata.name)
    for name in pkcs10.alternative_names(parsed):
        if isinstance(name, x509.DNSName):
            if name.value != own:
                return False
        elif owners.get(str(name.value)) != {own}:
            return False
    return True


def _is_node_part(request: CertificateSigningRequest, parsed: Parsed, _nodes: Iterable[Node]) -> bool:
    return (
        request.spec.signerName == CLIENT
        and pkcs10.common_name(parsed) in NODE_PARTS
        and not pkcs10.organizations(parsed)
        and not pkcs10.alternative_names(parsed)
        and not pkcs10.client_problem(request.spec.usages)
    )


RECOGNIZERS = (
    Recognizer(
        "selfnodeclient",
        "Auto approving self kubelet client certificate after SubjectAccessReview.",
        lambda request, parsed, _nodes: _is_self(request, parsed) and _is_node_client(request, parsed),
    ),
    Recognizer(
        "nodeclient",
        "Auto approving kubelet client certificate after SubjectAccessReview.",
        lambda request, parsed, _nodes: _is_node_client(request, parsed),
    ),
    Recognizer(
        SELF_NODE_SERVER,
        "Auto approving kubelet serving certificate for the node's own addresses after SubjectAccessReview.",
        _is_node_server,
    ),
    Recognizer(
        NODE_PARTS_RIGHT,
        "Auto approving client certificate of a node's part after SubjectAccessReview.",
        _is_node_part,
    ),
)
