"""Signing what a request asks for with a CA's key.

As ``pkg/controller/certificates/authority``: subject, key and names are those of the request, all else is
decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

_BACKDATED = timedelta(minutes=5)
_SHORT = timedelta(hours=8)
_LEAST = timedelta(minutes=10)

_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_PURPOSES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec end system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft sgc": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": ObjectIdentifier("2.16.840.1.113730.4.1"),
}


class BadAuthority(ValueError):
    """A CA's certificate or key cannot be used; the message says which and why."""


class Authority:
    """A CA. ``longest`` is how long what it signs is good at most."""

    def __init__(
        self,
        certificate: x509.Certificate,
        key: EllipticCurvePrivateKey | RSAPrivateKey,
        longest: timedelta,
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._longest = longest

    @classmethod
    def read(cls, certificate_file: str, key_file: str, longest: timedelta) -> Authority:
        """Raises BadAuthority."""
        try:
            certificate = x509.load_pem_x509_certificate(Path(certificate_file).read_bytes())
            key = serialization.load_pem_private_key(Path(key_file).read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise BadAuthority(f"{certificate_file}, {key_file}: {error}") from None
        if not isinstance(key, EllipticCurvePrivateKey | RSAPrivateKey):
            raise BadAuthority(f"{key_file}: only EC and RSA keys can sign here")
        if key.public_key() != certificate.public_key():
            raise BadAuthority(f"{key_file} is not the key of {certificate_file}")
        return cls(certificate, key, longest)

    def sign(
        self, request: x509.CertificateSigningRequest, usages: Sequence[str], seconds: int | None
    ) -> bytes:
        """The certificate (PEM). ``seconds``: how long it shall be good; None: as long as it may.

        Raises:
            BadAuthority: the CA's own time is over.
            ValueError: the request asks for what no certificate can have.
        """
        now = datetime.now(UTC)
        ends = self._certificate.not_valid_after_utc
        if now >= ends:
            raise BadAuthority(f"the CA's certificate has expired ({ends:%Y-%m-%d})")
        life = (
            self._longest if seconds is None else max(min(timedelta(seconds=seconds), self._longest), _LEAST)
        )
        # A short life is not made shorter by the time it is dated back.
        end = now + life if life < _SHORT else now + life - _BACKDATED
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(min(end, ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if any(usage in _KEY_USAGES for usage in usages):
            builder = builder.add_extension(_key_usage(usages), critical=True)
        purposes = dict.fromkeys(_PURPOSES[usage] for usage in usages if usage in _PURPOSES)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            builder = builder.add_extension(names.value, names.critical)
        except x509.ExtensionNotFound:
            pass
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_usage(usages: Sequence[str]) -> x509.KeyUsage:
    flags = dict.fromkeys(_KEY_USAGES.values(), False)
    flags |= {_KEY_USAGES[usage]: True for usage in usages if usage in _KEY_USAGES}
    return x509.KeyUsage(**flags)
