"""TLS to the API server: whom to trust, and who we are. Files are read again when they have changed."""

from __future__ import annotations

import base64
import logging
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Pem:
    """Certificates or a key: given as such, or in a file that somebody may replace."""

    data: bytes = field(default=b"", repr=False)
    path: Path | None = None

    @classmethod
    def of(cls, data: str, directory: Path, name: str) -> Pem:
        """As kubeconfigs have them: base64, which wins, or a file beside the kubeconfig.

        Raises ValueError for bad base64.
        """
        if data:
            return cls(base64.b64decode(data))
        return cls(path=directory / name) if name else cls()

    def __bool__(self) -> bool:
        return bool(self.data) or self.path is not None

    def read(self) -> bytes:
        return self.data if self.path is None else self.path.read_bytes()

    def stamp(self) -> Stamp | None:
        """Differs when the file may have changed. Raises OSError."""
        if self.path is None:
            return None
        found = os.stat(self.path)
        return found.st_mtime_ns, found.st_size, found.st_ino


class Tls:
    """Makes the context for new connections."""

    def __init__(self, authority: Pem, certificate: Pem, key: Pem, *, check_server: bool = True) -> None:
        """``authority``: whose certificates the server may have; none: those the system trusts.

        Raises:
            OSError, ValueError: something of it cannot be read or used.
        """
        self._authority, self._certificate, self._key = authority, certificate, key
        self._check_server = check_server
        self._known = self._stamps()
        self._given = b""
        self._context = self._make(b"")

    def context(self, certificate: bytes = b"") -> ssl.SSLContext:
        """The context as of now: the same object for as long as nothing has changed.

        ``certificate``, with its key, takes the place of the one in the files. What cannot be read just now,
        or does not fit together, is tried again next time, and the last context that worked used.
        """
        try:
            stamps = self._stamps()
            if stamps != self._known or certificate != self._given:
                self._context = self._make(certificate)
                self._known, self._given = stamps, certificate
        except (OSError, ValueError) as error:
            fields = {"error": str(error)}
            logger.warning("going on with the last certificates", extra={"fields": fields})
        return self._context

    def _stamps(self) -> tuple[Stamp | None, ...]:
        return tuple(pem.stamp() for pem in (self._authority, self._certificate, self._key))

    def _make(self, certificate: bytes) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self._authority.read().decode() or None)
        if not self._check_server:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if not certificate and self._certificate:
            certificate = self._certificate.read() + b"\n" + self._key.read()
        if certificate:
            _load_certificate(context, certificate)
        return context


def _load_certificate(context: ssl.SSLContext, certificate_and_key: bytes) -> None:
    # OpenSSL's Python binding reads keys only from files; memory that looks like one keeps it off the disk.
    descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate_and_key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
