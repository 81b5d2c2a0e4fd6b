"""A machine's certificates on its disk: one PEM file each, key and certificate, replaced as a whole."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from clusterip.member.identities import Identity
from clusterip.member.requests import alternative_names, subject

_RENEW_AT = 0.7
_SPREAD = 0.2


class Files:
    """The files below one directory. ``authority`` is the CA of the cluster."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = directory / "ca.crt"

    def path(self, identity: Identity) -> Path:
        return self.directory / f"{identity.file}.pem"

    def write(self, identity: Identity, pem: bytes) -> None:
        """Put a key and its certificate in place of those before."""
        write(self.path(identity), pem, 0o600)

    def renewal(self, identity: Identity) -> datetime:
        """When its certificate is to be renewed: in the past if there is none, or one of somebody else.

        That is after 70 to 90 % of its life, so that not all machines ask at once.
        """
        certificate = self._certificate(identity)
        if certificate is None:
            return datetime.fromtimestamp(0, UTC)
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        share = certificate.fingerprint(hashes.SHA256())[0] / 255
        return begin + (end - begin) * (_RENEW_AT + _SPREAD * share)

    def is_valid(self, identity: Identity) -> bool:
        """Whether its certificate can be used now."""
        certificate = self._certificate(identity)
        if certificate is None:
            return False
        now = datetime.now(UTC)
        return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc

    def _certificate(self, identity: Identity) -> x509.Certificate | None:
        """None if there is none, or one of somebody else or of another cluster."""
        try:
            certificate = x509.load_pem_x509_certificate(self.path(identity).read_bytes())
            authority = x509.load_pem_x509_certificate(self.authority.read_bytes())
            certificate.verify_directly_issued_by(authority)
        except (OSError, ValueError, TypeError, InvalidSignature):
            return None
        same = certificate.subject == subject(identity) and _names(certificate) == _wanted(identity)
        return certificate if same else None


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file as a whole."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


def _names(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return {*certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value}
    except x509.ExtensionNotFound:
        return set()


def _wanted(identity: Identity) -> set[x509.GeneralName]:
    return {*alternative_names(identity)} if identity.names else set()
