"""The certificates of a TLS server, followed as their files change."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from clusterip.dns.config.model import TlsOptions
from clusterip.process import Fatal, log

_log = log.get("dns")


def tls_context(options: TlsOptions) -> ssl.SSLContext:
    """What a TLS server needs, of files in PEM format. Raises Fatal if they cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["dot"])
    try:
        context.load_cert_chain(options.certificate, options.key)
        if options.client_auth in ("verify_if_given", "require_and_verify"):
            context.verify_mode = (
                ssl.CERT_REQUIRED if options.client_auth == "require_and_verify" else ssl.CERT_OPTIONAL
            )
            if options.authority:
                context.load_verify_locations(options.authority)
            else:
                context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        if options.keylog:
            context.keylog_filename = options.keylog
    except (OSError, ssl.SSLError) as error:
        files = f"{options.certificate} and {options.key}"
        raise Fatal(f"cannot serve TLS with {files}: {error}") from None
    if options.client_auth in ("request", "require"):
        raise Fatal(
            f"tls: client_auth {options.client_auth}: certificates that nobody verifies prove nothing; "
            "use verify_if_given or require_and_verify"
        )
    return context


class Certificates:
    """What new connections are served with. ``context`` stays the same one while its files change."""

    def __init__(self, options: TlsOptions) -> None:
        """Raises Fatal if the files cannot be used."""
        self.options = options
        self._seen = _contents(options)
        self._current = tls_context(options)
        self.context = tls_context(options)
        self.context.sni_callback = self._choose  # called for each connection, with or without a name

    def renew(self, options: TlsOptions | None = None) -> None:
        """Take over what the files have now. If they do not fit together, all stays as it was."""
        options = options or self.options
        seen = _contents(options)
        if (options, seen) == (self.options, self._seen):
            return  # it was another file of the directory
        try:
            fresh = tls_context(options)  # the certificate may be there already and its key not yet
        except Fatal as error:
            _log.warning("certificate not renewed", file=options.certificate, why=error)
            return
        self.options, self._current, self._seen = options, fresh, seen
        self.context.verify_mode = fresh.verify_mode
        _log.info("certificate renewed", file=options.certificate)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current


def _contents(options: TlsOptions) -> list[bytes]:
    """What the files have now; those that cannot be read have nothing."""
    found = []
    for file in files_of([options]):
        try:
            found.append(Path(file).read_bytes())
        except OSError:
            found.append(b"")
    return found


def files_of(options: Sequence[TlsOptions]) -> list[str]:
    """What is to be watched for changes."""
    found = [file for each in options for file in (each.certificate, each.key, each.authority) if file]
    return list(dict.fromkeys(found))
