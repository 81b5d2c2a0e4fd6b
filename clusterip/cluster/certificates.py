"""The cluster's certificate authority and what it signs, laid out as kubeadm does below ``pki/``.

Keys are EC P-256: made in a millisecond, cheap to handshake with. What is there and still good is used
again. See https://kubernetes.io/docs/setup/best-practices/certificates/ for who needs which.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.errors import ClusterError

_CA_LIFE = timedelta(days=3650)
_LIFE = timedelta(days=365)
_RENEW_BEFORE = timedelta(days=30)
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Wanted:
    """A certificate: its file name, whom it names (common name = user, organizations = groups), and
    for a server the names and addresses it answers to."""

    file: str
    user: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


def wanted(config: ClusterConfig) -> list[Wanted]:
    """Every certificate of a cluster."""
    service = f"kubernetes.default.svc.{config.domain}"
    api_hosts = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        service,
        "localhost",
        "127.0.0.1",
        str(config.machine_address),
        str(config.api_service_address),
    )
    certificates = [
        Wanted("apiserver", "kube-apiserver", hosts=api_hosts),
        Wanted("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",)),
        Wanted("admin", "kubernetes-admin", ("system:masters",)),
        Wanted("controllers", "system:kube-controller-manager"),
        Wanted("proxy", "system:kube-proxy"),
        Wanted("dns", "system:serviceaccount:kube-system:coredns"),
        Wanted("network", "clusterip:network"),  # what nodes learn of each other's Pod networks by
    ]
    for node in config.node_names:
        certificates.append(Wanted(node, f"system:node:{node}", ("system:nodes",)))
        certificates.append(
            Wanted(
                f"{node}-serving",
                f"system:node:{node}",
                ("system:nodes",),
                (node, *config.addresses_of(node)),
            )
        )
    return certificates


class Certificates:
    """The files below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def authority(self) -> Pair:
        return self.pair("ca")

    @property
    def signing_key(self) -> Path:
        """Signs service accounts' tokens."""
        return self._directory / "sa.key"

    @property
    def signing_key_public(self) -> Path:
        return self._directory / "sa.pub"

    def pair(self, file: str) -> Pair:
        return Pair(self._directory / f"{file}.crt", self._directory / f"{file}.key")

    def ensure(self, certificates: Sequence[Wanted]) -> None:
        """Make what is missing, about to expire, or says something else than wanted.

        The authority is made only where there is none at all: machines that have joined trust no other.

        Raises:
            ClusterError: the authority that is there cannot be used.
        """
        authority, key = self._ensure_authority()
        for certificate in certificates:
            pair = self.pair(certificate.file)
            if not _is_good(pair, certificate, authority):
                _write_pair(pair, *_issue(certificate, authority, key))
        if not self.signing_key.exists():
            signing = ec.generate_private_key(ec.SECP256R1())
            _write(self.signing_key, _private_pem(signing), 0o600)
            self.signing_key_public.unlink(missing_ok=True)
        if not self.signing_key_public.exists():
            private = serialization.load_pem_private_key(self.signing_key.read_bytes(), None)
            public = private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            _write(self.signing_key_public, public, 0o644)

    def _ensure_authority(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        pair = self.authority
        if pair.certificate.exists() or pair.key.exists():
            return _read_authority(pair)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clusterip-ca")])
        builder = _builder(name, name, key.public_key(), _CA_LIFE)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write_pair(pair, certificate, key)
        return certificate, key


def _read_authority(pair: Pair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"the cluster's CA cannot be used: {error}. Put {pair.certificate.name} and {pair.key.name} back "
            f"into {pair.key.parent}; without them nothing that trusts this CA can be reached any more"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ClusterError(f"{pair.key} is not the key of {pair.certificate}: put the right one back")
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise ClusterError(
            f"the cluster's CA has expired ({pair.certificate}): all of its machines need a new one"
        )
    return certificate, key


def _issue(
    wanted: Wanted, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if wanted.hosts:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH]
    builder = _builder(_subject(wanted), authority.subject, key.public_key(), _LIFE)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    if wanted.hosts:
        builder = builder.add_extension(_alternative_names(wanted.hosts), critical=False)
    return builder.sign(authority_key, hashes.SHA256()), key


def _is_good(pair: Pair, wanted: Wanted, authority: x509.Certificate) -> bool:
    if not (pair.certificate.exists() and pair.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    if not _lasts(certificate) or certificate.subject != _subject(wanted):
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return not wanted.hosts
    return bool(names == _alternative_names(wanted.hosts))


def _lasts(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - _RENEW_BEFORE > datetime.now(UTC)


def _subject(wanted: Wanted) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in wanted.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, wanted.user)])


def _alternative_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + life)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_pair(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    _write(pair.key, _private_pem(key), 0o600)
    _write(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Replace a file as a whole, so that a crash never leaves half a key."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)
