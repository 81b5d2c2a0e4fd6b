"""Asking for a certificate through the API, and waiting for it."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clusterip.client.rest import Client
from clusterip.member.errors import JoinError
from clusterip.member.identities import Identity
from clusterip.objects.certificates import CertificateSigningRequest, CertificateSigningRequestSpec
from clusterip.objects.certificates.types import DENIED, FAILED
from clusterip.objects.meta import ObjectMeta

_PREFIX = "node-csr-"
_TELL_SECONDS = 3.0


def subject(identity: Identity) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in identity.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, identity.user)])


def alternative_names(identity: Identity) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = []
    for name in identity.names:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(names)


async def obtain(
    client: Client, identity: Identity, waiting: Callable[[str], None] = lambda _name: None
) -> bytes:
    """A new key and a certificate for it, as one PEM text.

    Args:
        client: who asks.
        identity: whom the certificate is to name.
        waiting: called with the request's name if it takes a while, as it does where a person must approve.

    Raises:
        JoinError: it was denied, or cannot be signed.
        ApiError, Unreachable: it cannot be asked for.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(identity))
    if identity.names:
        builder = builder.add_extension(alternative_names(identity), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    request = await client.create(
        CertificateSigningRequest(
            metadata=ObjectMeta(generateName=_PREFIX),
            spec=CertificateSigningRequestSpec(
                request=base64.b64encode(pem).decode(),
                signerName=identity.signer,
                usages=list(identity.usages),
            ),
        )
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    telling = asyncio.get_running_loop().call_later(_TELL_SECONDS, waiting, request.metadata.name)
    try:
        return private + await _issued(client, request)
    finally:
        telling.cancel()


async def _issued(client: Client, request: CertificateSigningRequest) -> bytes:
    name = request.metadata.name
    while True:
        if certificate := _certificate(request):
            return certificate
        async for event in client.watch(
            CertificateSigningRequest,
            resource_version=request.metadata.resourceVersion,
            field_selector=f"metadata.name={name}",
        ):
            if event.type == "DELETED":
                raise JoinError(f"the certificate request {name} was deleted before it was approved")
            if event.type != "BOOKMARK" and (certificate := _certificate(event.object)):
                return certificate
        request = await client.get(CertificateSigningRequest, name)


def _certificate(request: CertificateSigningRequest) -> bytes:
    for condition in request.status.conditions:
        if condition.type in (DENIED, FAILED):
            why = condition.message or condition.reason or "no reason is given"
            raise JoinError(
                f"the certificate request {request.metadata.name} of {request.spec.username} "
                f"is {condition.type.lower()}: {why}"
            )
    return base64.b64decode(request.status.certificate)
