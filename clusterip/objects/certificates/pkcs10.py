"""What is asked for in a CertificateSigningRequest: its PKCS #10 part, and which kubelets may have.

As ``pkg/apis/certificates/helpers.go``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import TYPE_CHECKING

from clusterip.objects.certificates.pem import blocks
from clusterip.objects.certificates.types import CertificateSigningRequest

if TYPE_CHECKING:
    from cryptography import x509

NODES_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"

_LABEL = "CERTIFICATE REQUEST"
_SIGNING, _ENCRYPTING = "digital signature", "key encipherment"
_CLIENT_AUTH, _SERVER_AUTH = "client auth", "server auth"


class BadRequest(ValueError):
    """A request that cannot be read, or whose signature is not that of its own key."""


def parse(request: CertificateSigningRequest) -> x509.CertificateSigningRequest:
    """The request in ``spec.request``. Raises BadRequest."""
    return parse_pem(base64.b64decode(request.spec.request))


def parse_pem(text: bytes) -> x509.CertificateSigningRequest:
    """The request in a PEM block. Raises BadRequest."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    first = next(blocks(text), None)
    if first is None or first.label != _LABEL:
        raise BadRequest(f"PEM block type must be {_LABEL}")
    try:
        found = x509.load_der_x509_csr(first.der)
        _ = found.subject, found.extensions, found.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise BadRequest(f"not a certificate request: {error}") from None
    return found


def is_signed(request: x509.CertificateSigningRequest) -> bool:
    """Whether who asks has the key that is asked for."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        return False


def common_name(request: x509.CertificateSigningRequest) -> str:
    """The user that the certificate would be of; "" if it names none."""
    from cryptography.x509.oid import NameOID

    found = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""


def organizations(request: x509.CertificateSigningRequest) -> list[str]:
    """The groups that the user would be in."""
    from cryptography.x509.oid import NameOID

    return [str(each.value) for each in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


def alternative_names(request: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    """The names and addresses that the certificate would be good for."""
    from cryptography import x509

    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(names)


def kubelet_client_problem(request: x509.CertificateSigningRequest, usages: Iterable[str]) -> str:
    """Why it is nothing that a kubelet may ask for to reach the API server with; "" if it is."""
    from cryptography import x509

    if organizations(request) != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    for kind, what in (
        (x509.DNSName, "DNS"),
        (x509.RFC822Name, "Email"),
        (x509.IPAddress, "IP"),
        (x509.UniformResourceIdentifier, "URI"),
    ):
        if any(isinstance(name, kind) for name in alternative_names(request)):
            return f"{what} subjectAltNames are not allowed"
    return _node_problem(request) or _usages_problem(usages, _CLIENT_AUTH)


def kubelet_serving_problem(request: x509.CertificateSigningRequest, usages: Iterable[str]) -> str:
    """Why it is nothing that a kubelet may ask for to be reached with; "" if it is."""
    from cryptography import x509

    if organizations(request) != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    names = alternative_names(request)
    if not any(isinstance(name, x509.DNSName | x509.IPAddress) for name in names):
        return "DNS or IP subjectAltName is required"
    for kind, what in ((x509.RFC822Name, "Email"), (x509.UniformResourceIdentifier, "URI")):
        if any(isinstance(name, kind) for name in names):
            return f"{what} subjectAltNames are not allowed"
    return _usages_problem(usages, _SERVER_AUTH) or _node_problem(request)


def client_problem(usages: Iterable[str]) -> str:
    """Why it is nothing to reach the API server with; "" if it is."""
    found = list(usages)
    for usage in found:
        if usage not in (_SIGNING, _ENCRYPTING, _CLIENT_AUTH):
            return f"invalid usage for client certificate: {usage}"
    return "" if _CLIENT_AUTH in found else f"missing required usage for client certificate: {_CLIENT_AUTH}"


def _node_problem(request: x509.CertificateSigningRequest) -> str:
    if common_name(request).startswith(NODE_PREFIX):
        return ""
    return "subject common name does not begin with system:node:"


def _usages_problem(usages: Iterable[str], purpose: str) -> str:
    if {*usages} in ({_SIGNING, purpose}, {_SIGNING, _ENCRYPTING, purpose}):
        return ""
    return f"usages did not match [{' '.join(sorted((_SIGNING, _ENCRYPTING, purpose)))}]"
