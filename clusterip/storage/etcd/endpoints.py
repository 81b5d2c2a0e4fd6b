"""Where etcd is, and how it is spoken to."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from clusterip.storage.store import StoreError


@dataclass(frozen=True)
class Tls:
    """Files for a TLS connection to etcd, as kube-apiserver's ``--etcd-cafile`` and so on name them.

    Attributes:
        ca_file: the CA that etcd's certificates are checked with; the system's CAs without one.
        cert_file: the certificate to show to etcd, if any.
        key_file: its key.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __bool__(self) -> bool:
        return bool(self.ca_file or self.cert_file or self.key_file)


def parse(url: str, tls: Tls) -> list[str]:
    """The base URLs of ``etcd://HOST:PORT,HOST:PORT``; TLS if it begins with ``etcds`` or files are given.

    Raises:
        StoreError: it names no endpoint, or one is not ``HOST:PORT``.
    """
    scheme, _, rest = url.partition("://")  # a list of hosts is no authority that urlsplit would take
    scheme = "https" if scheme == "etcds" or tls else "http"
    hosts = rest.rstrip("/")
    endpoints = [part.strip() for part in hosts.split(",") if part.strip()]
    if not endpoints or any(mark in hosts for mark in "/?#@"):
        raise StoreError(f"{url!r} does not name etcd's endpoints; write etcd://HOST:PORT,HOST:PORT")
    for endpoint in endpoints:
        try:
            whole = urlsplit(f"//{endpoint}")
            complete = bool(whole.hostname and whole.port)
        except ValueError:
            complete = False
        if not complete:
            raise StoreError(f"{endpoint!r} in {url!r} is not HOST:PORT")
    return [f"{scheme}://{endpoint}" for endpoint in endpoints]


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Raises StoreError if a file cannot be used."""
    if bool(tls.cert_file) != bool(tls.key_file):
        raise StoreError("etcd's client certificate and its key are only of use together")
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(filter(None, (tls.ca_file, tls.cert_file, tls.key_file)))
        raise StoreError(f"cannot use the TLS files for etcd ({files}): {error}") from error
    return context
