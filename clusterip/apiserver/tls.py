"""TLS of the server: its certificate, made if none is given, and clients' certificates."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusterip.apiserver.options import Options
from clusterip.process.certfiles import serve_with
from clusterip.process.run import Fatal

_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


def server_context(options: Options, addresses: Iterable[str]) -> ssl.SSLContext:
    """The TLS settings of the server; ``addresses`` go into a certificate that has to be made.

    Raises:
        Fatal: a certificate, key or CA file cannot be used.
    """
    certificate, key = options.tls_cert_file, options.tls_private_key_file
    if bool(certificate) != bool(key):
        raise Fatal("--tls-cert-file and --tls-private-key-file must be given together")
    if not certificate:
        certificate, key = self_signed(options.cert_dir, addresses)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        serve_with(context, certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Fatal(f"cannot use the server certificate {certificate} with key {key}: {error}") from None
    if options.client_ca_file:
        try:
            context.load_verify_locations(options.client_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise Fatal(f"cannot use --client-ca-file {options.client_ca_file}: {error}") from None
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def self_signed(directory: str, addresses: Iterable[str]) -> tuple[str, str]:
    """``apiserver.crt`` and ``apiserver.key`` in ``directory``, made if they are not there yet."""
    folder = Path(directory)
    certificate_file, key_file = folder / "apiserver.crt", folder / "apiserver.key"
    if certificate_file.exists() and key_file.exists():
        return str(certificate_file), str(key_file)
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{socket.gethostname()}@apiserver")])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName(text) for text in _NAMES]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in dict.fromkeys(addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(key_file, pem)
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(certificate_file), str(key_file)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
