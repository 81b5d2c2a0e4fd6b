"""Certificates that somebody renews in place, while a process goes on with its TLS contexts."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

logger = logging.getLogger(__name__)


class CertificateFiles:
    """A certificate and its key, in one file or two, loaded into a context again whenever they change."""

    def __init__(self, context: ssl.SSLContext, certificate: str, key: str) -> None:
        """Raises OSError, ssl.SSLError: they cannot be used."""
        self._context = context
        self._names = (certificate, key or None)
        self._paths = [Path(name) for name in dict.fromkeys((certificate, key)) if name]
        self._known = self._stamps()
        context.load_cert_chain(*self._names)

    def refresh(self) -> None:
        """Load them if they have changed; what cannot be used is left alone until it changes again."""
        try:
            now = self._stamps()
            if now != self._known:
                self._known = now
                self._context.load_cert_chain(*self._names)
        except OSError as error:  # an SSLError is one too
            fields = {"certificate": self._names[0], "error": str(error)}
            logger.warning("going on with the last certificate", extra={"fields": fields})

    def _stamps(self) -> list[tuple[int, int, int]]:
        found = [os.stat(path) for path in self._paths]
        return [(each.st_mtime_ns, each.st_size, each.st_ino) for each in found]


def serve_with(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Serve with what is in the files, also after they have changed.

    They are looked at when a client comes: that one is served as before, those after it as the files say.

    Raises:
        OSError, ssl.SSLError: they cannot be used now.
    """
    files = CertificateFiles(context, certificate, key)

    def look(_connection: object, _name: str | None, _context: ssl.SSLContext) -> None:
        files.refresh()

    # Called for every handshake, whether or not the client names a server.
    context.sni_callback = look
