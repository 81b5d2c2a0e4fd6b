"""The kubelet API's TLS: its own certificate, and whose certificates it takes."""

from __future__ import annotations

import ssl
from pathlib import Path

from clusterip.node.options import Options
from clusterip.process.certfiles import serve_with
from clusterip.process.run import Fatal


def server_context(options: Options, name: str, addresses: list[str]) -> ssl.SSLContext:
    """What to serve HTTPS with; a self-signed certificate is made and kept if none is given.

    Raises:
        Fatal: a given file cannot be used.
    """
    certificate, key = options.tls_cert_file, options.tls_private_key_file
    if not certificate:
        certificate, key = _self_signed(options.root_dir / "pki", name, addresses)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        serve_with(context, certificate, key)
        if options.client_ca_file:
            context.load_verify_locations(options.client_ca_file)
            # Asked for, not required: health checks come without one.
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise Fatal(f"cannot serve the kubelet API with {certificate}: {error}") from error
    return context


def _self_signed(directory: Path, name: str, addresses: list[str]) -> tuple[str, str]:
    certificate, key = directory / "kubelet.crt", directory / "kubelet.key"
    if certificate.exists() and key.exists():
        return str(certificate), str(key)
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}@kubelet")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(private, hashes.SHA256())
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return str(certificate), str(key)
