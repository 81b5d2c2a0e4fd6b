"""Certificates: how long they last, and whether they are the CA's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from clusterip.client.config import Config
from clusterip.cluster.certificates import Certificates, Pair, wanted
from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient

_SOON_DAYS = 30
_SECONDS = 3.0


async def check(patient: Patient, found: Findings) -> None:
    before = len(found.found)
    if patient.config is not None and patient.paths.pki.is_dir():
        _files(patient, found)
    if patient.api is not None:
        await _served(patient.api, found)
    if len(found.found) == before:
        found.info("certificates", "there are none to look at: no cluster, and no API server")


def _files(patient: Patient, found: Findings) -> None:
    assert patient.config is not None
    pki = Certificates(patient.paths.pki)
    remedy = f"clusterip down --keep-state --name {patient.name}, then clusterip up --name {patient.name}"
    try:
        authority = x509.load_pem_x509_certificate(pki.authority.certificate.read_bytes())
    except PermissionError:
        found.info("certificates", f"only root may read {patient.paths.pki}")
        return
    except (OSError, ValueError) as error:
        found.error("CA", f"cannot be read: {error}", "put ca.crt and ca.key back from a copy")
        return
    _lasts(found, "CA", authority, "put a new CA in place on all machines")
    good = 0
    for each in wanted(patient.config):
        why = _why_bad(pki.pair(each.file), authority)
        if why:
            found.error(f"certificate {each.file}", why, remedy)
        else:
            good += _lasts(found, f"certificate {each.file}", _read(pki.pair(each.file)), remedy, quiet=True)
    found.ok("certificates", f"{good} are the CA's, have their keys, and last")


def _why_bad(pair: Pair, authority: x509.Certificate) -> str:
    try:
        certificate = _read(pair)
        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return "is not signed by the cluster's CA"
    if key.public_key() != certificate.public_key():
        return f"{pair.key} is not its key"
    return ""


def _read(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes())


def _lasts(
    found: Findings, subject: str, certificate: x509.Certificate, remedy: str, *, quiet: bool = False
) -> bool:
    """Whether it lasts for a while; says so if not, and else unless ``quiet``."""
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    if certificate.not_valid_before_utc > datetime.now(UTC):
        found.error(subject, "is not valid yet: this machine's clock is behind", "set the clock")
    elif days < 0:
        found.error(subject, f"has expired on {until}", remedy)
    elif days < _SOON_DAYS:
        found.warning(subject, f"expires in {days} days, on {until}", remedy)
    else:
        if not quiet:
            found.ok(subject, f"lasts until {until}")
        return True
    return False


async def _served(api: Config, found: Findings) -> None:
    """The certificate that the API server shows."""
    url = urlsplit(api.server)
    if url.scheme != "https":
        return
    subject = f"API server {url.netloc}"
    try:
        data = await asyncio.to_thread(_shown, url.hostname or "", url.port or 443, api.ssl_context)
    except ssl.SSLCertVerificationError as error:
        found.error(
            subject,
            f"shows a certificate that the kubeconfig's CA does not vouch for: {error.verify_message}",
            "use the kubeconfig of this cluster (clusterip kubeconfig), or renew the certificate",
        )
        return
    except OSError as error:
        why = error.strerror or str(error) or "no answer"
        found.error(subject, f"cannot be reached: {why}", "see the check `parts`")
        return
    remedy = "renew it; of clusters of `clusterip up`: clusterip down --keep-state, then clusterip up"
    _lasts(found, subject, x509.load_der_x509_certificate(data), remedy)


def _shown(host: str, port: int, context: ssl.SSLContext | None) -> bytes:
    """The certificate, once it has been found good. Raises OSError."""
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection((host, port), timeout=_SECONDS))
        secured = (context or ssl.create_default_context()).wrap_socket(plain, server_hostname=host)
        data = stack.enter_context(secured).getpeercert(binary_form=True)
    return data or b""
