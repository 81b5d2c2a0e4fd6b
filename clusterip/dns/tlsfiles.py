"""The certificates of a TLS server, followed as their files change."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

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


def renew(context: ssl.SSLContext, options: TlsOptions) -> None:
    """Let new connections see what the files have now. If they do not fit together, all stays as it was."""
    try:
        tls_context(options)  # the certificate may be there already and its key not yet
        context.load_cert_chain(options.certificate, options.key)
        if options.authority and context.verify_mode != ssl.CERT_NONE:
            context.load_verify_locations(options.authority)
    except (Fatal, OSError, ssl.SSLError) as error:
        _log.warning("certificate not renewed", file=options.certificate, why=error)
        return
    _log.info("certificate renewed", file=options.certificate)


def files_of(options: Sequence[TlsOptions]) -> list[str]:
    """What is to be watched for changes."""
    found = [file for each in options for file in (each.certificate, each.key, each.authority) if file]
    return list(dict.fromkeys(found))
