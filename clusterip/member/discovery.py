"""Finding out about a cluster that nothing is known of but the hash of its CA.

The first question is put to whoever answers at the address, and sends no credentials. Only when the CA in
the answer is the one that the hash stands for, all is asked again with that CA to check the server.
"""

from __future__ import annotations

import hmac
import http.client
import json
import re
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from clusterip.member import clusterinfo
from clusterip.member.clusterinfo import CA_KEY, HASH_PREFIX, NAME, NAMESPACE, SETTINGS_KEY, Settings
from clusterip.member.errors import JoinError

_SECONDS = 10.0
_MOST_SKEW_SECONDS = 240.0
"""Certificates are good from five minutes before they are made."""
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_NEW_COMMAND = "`clusterip token create` on a server prints the right command"


@dataclass(frozen=True)
class Discovered:
    """A cluster as its servers present it: CA (PEM), settings, and the Kubernetes version of the server."""

    server: str
    authority: bytes
    settings: Settings
    version: str


def discover(servers: tuple[str, ...], ca_hash: str) -> Discovered:
    """Ask the servers one after the other, until one answers.

    Raises:
        JoinError: none can be reached, or one is not of the cluster that is meant.
    """
    if not _HASH.fullmatch(ca_hash):
        raise JoinError(
            f"--ca-hash is {HASH_PREFIX} and 64 hexadecimal digits, not {ca_hash!r}: {_NEW_COMMAND}"
        )
    problems: list[str] = []
    for server in servers:
        try:
            return _ask(server, ca_hash)
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"cannot reach the server at {server}: {error}")
    raise JoinError("; ".join(problems) or "no server is given: use --join https://ADDRESS:6443")


def _ask(server: str, ca_hash: str) -> Discovered:
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{NAME}"
    answer, skew = _get(server, path, unverified)
    authority = _data(server, answer, CA_KEY).encode()
    try:
        found = clusterinfo.hash_of(authority)
    except ValueError:
        raise JoinError(
            f"the server at {server} presents no CA certificate: it is no clusterip server"
        ) from None
    if not hmac.compare_digest(found, ca_hash):
        raise JoinError(
            f"the server at {server} is not of the cluster you mean: its CA has the hash {found}, and "
            f"--ca-hash says {ca_hash}. Somebody may be in between, or the command is of another cluster: "
            f"{_NEW_COMMAND}"
        )
    if abs(skew) > _MOST_SKEW_SECONDS:
        where = "ahead of" if skew > 0 else "behind"
        raise JoinError(
            f"this machine's clock is {abs(skew):.0f} s {where} that of the server at {server}, and "
            "certificates go by it: set it, and keep it right with an NTP client"
        )
    verified = ssl.create_default_context(cadata=authority.decode())
    try:
        settings = clusterinfo.decode(_data(server, _get(server, path, verified)[0], SETTINGS_KEY))
        version = json.loads(_get(server, "/version", verified)[0])["gitVersion"]
    except ssl.SSLCertVerificationError as error:
        raise JoinError(
            f"the server at {server} has no certificate of its own CA for that address ({error}): join by "
            "another one, or start the server with --tls-san"
        ) from None
    except (ValueError, KeyError) as error:
        raise JoinError(f"the server at {server} says nothing usable about its cluster: {error}") from None
    return Discovered(server, authority, settings, version)


def _get(server: str, path: str, context: ssl.SSLContext) -> tuple[bytes, float]:
    """The answer, and how many seconds this clock is ahead of the server's, which tells whole ones."""
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname:
        raise JoinError(f"{server} is not the URL of a server, such as https://192.0.2.1:6443")
    connection = http.client.HTTPSConnection(
        parts.hostname, parts.port or 6443, timeout=_SECONDS, context=context
    )
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise JoinError(
            f"the server at {server} answers {response.status} to {path}: "
            "is it a clusterip server, and ready?"
        )
    return body, _ahead(response.getheader("Date", ""))


def _ahead(told: str) -> float:
    try:
        return time.time() - parsedate_to_datetime(told).timestamp()
    except ValueError:
        return 0.0


def _data(server: str, body: bytes, key: str) -> str:
    try:
        data: dict[str, Any] = json.loads(body)["data"]
        return str(data[key])
    except (ValueError, KeyError, TypeError):
        raise JoinError(
            f"the server at {server} has no {key} in {NAMESPACE}/{NAME}: it is no clusterip server"
        ) from None
