"""Bootstrap tokens, with which new nodes introduce themselves: ``ID.SECRET``, kept in Secrets.

As ``plugin/pkg/auth/authenticator/token/bootstrap``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from clusterip.apiserver.authn import Identity, User, shared
from clusterip.apiserver.cache import WatchCache
from clusterip.objects import times
from clusterip.objects.core.secret import SECRETS, Secret
from clusterip.process import log

TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"
PREFIX = "bootstrap-token-"
GROUP = "system:bootstrappers"

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")

_log = log.get("apiserver")


class BootstrapTokens:
    """Knows the tokens whose Secrets say that they may be used to authenticate."""

    def __init__(self, cache: WatchCache, audiences: Sequence[str]) -> None:
        self._cache = cache
        self._audiences = audiences

    def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        match = _TOKEN.fullmatch(token)
        common = shared(self._audiences, audiences)
        if match is None or not common:
            return None
        token_id, token_secret = match.groups()
        entry = self._cache.of(SECRETS).get(NAMESPACE, PREFIX + token_id)
        if entry is None:
            return None
        secret: Secret = entry.decode()
        problem = _problem(secret, token_id, token_secret)
        groups = _groups(secret)
        if problem or groups is None:
            why = problem or "has invalid value for key auth-extra-groups"
            _log.info("bootstrap token refused", secret=f"{NAMESPACE}/{entry.name}", why=why)
            return None
        return Identity(User(f"system:bootstrap:{token_id}", groups=groups), common)


def expiration(secret: Secret) -> datetime | None:
    """When a bootstrap token's Secret says that it ends; None if it does not.

    Raises:
        ValueError: what it says is no time.
    """
    text = _value(secret, "expiration")
    return times.parse(text) if text else None


def _problem(secret: Secret, token_id: str, token_secret: str) -> str:
    """Why the Secret does not let the token in; empty if it does."""
    if secret.metadata.deletionTimestamp is not None:
        return "is deleted and awaiting removal"
    if secret.type != TYPE:
        return f"has invalid type, expected {TYPE}"
    if not hmac.compare_digest(_value(secret, "token-secret").encode(), token_secret.encode()):
        return "has invalid value for key token-secret"
    if _value(secret, "token-id") != token_id:
        return "has invalid value for key token-id"
    try:
        end = expiration(secret)
    except ValueError:
        return "has an expiration that is no time"
    if end is not None and end <= datetime.now(UTC):
        return "has expired"
    if _value(secret, "usage-bootstrap-authentication") != "true":
        return "not marked usage-bootstrap-authentication=true"
    return ""


def _groups(secret: Secret) -> tuple[str, ...] | None:
    """The groups of the token's user; None if the Secret names some that it must not."""
    extra = _value(secret, "auth-extra-groups")
    named = extra.split(",") if extra else []
    if not all(_EXTRA_GROUP.fullmatch(group) for group in named):
        return None
    return tuple(sorted({GROUP, *named}))


def _value(secret: Secret, key: str) -> str:
    try:
        return base64.b64decode(secret.data.get(key, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
