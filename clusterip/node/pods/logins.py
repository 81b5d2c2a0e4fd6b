"""Who to be at a registry, by a Pod's ``imagePullSecrets``.

As upstream's ``pkg/credentialprovider``: of several that fit the most exact one counts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import msgspec

from clusterip.node.images.login import Login
from clusterip.node.images.reference import Reference
from clusterip.objects.core.secret import Secret

_DOCKER_HUB = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")


class _Auth(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""


class _DockerConfig(msgspec.Struct):
    auths: dict[str, _Auth] = {}


def login_for(reference: Reference, secrets: Sequence[Secret]) -> Login | None:
    """The login for an image; None if no secret has one. What cannot be read is passed over."""
    fitting = [
        (len(place), _login(auth))
        for secret in secrets
        for place, auth in _auths(secret)
        if _fits(place, reference)
    ]
    return max(fitting, key=lambda each: each[0])[1] if fitting else None


def _auths(secret: Secret) -> Iterator[tuple[str, _Auth]]:
    found: dict[str, _Auth] = {}
    try:
        if encoded := secret.data.get(".dockerconfigjson"):
            found = msgspec.json.decode(base64.b64decode(encoded), type=_DockerConfig).auths
        elif encoded := secret.data.get(".dockercfg"):
            found = msgspec.json.decode(base64.b64decode(encoded), type=dict[str, _Auth])
    except (msgspec.DecodeError, binascii.Error):
        return
    for name, auth in found.items():
        yield _place(name), auth


def _place(name: str) -> str:
    """Registry and beginning of the repository, out of what is often written as a URL."""
    text = name.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, _, path = text.partition("/")
    if host in _DOCKER_HUB:
        host = "docker.io"
    path = "" if path in ("v1", "v2") else path
    return f"{host}/{path}" if path else host


def _fits(place: str, reference: Reference) -> bool:
    host, _, path = place.partition("/")
    wanted, parts = host.split("."), reference.registry.split(".")
    same = len(wanted) == len(parts) and all(map(fnmatchcase, parts, wanted))
    return same and (not path or f"{reference.repository}/".startswith(f"{path}/"))


def _login(auth: _Auth) -> Login:
    try:
        username, _, password = base64.b64decode(auth.auth).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        username, password = "", ""
    return Login(username or auth.username, password or auth.password)
