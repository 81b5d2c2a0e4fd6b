"""Service account tokens: JSON Web Tokens signed by this cluster and bound to objects in it.

As upstream's ``pkg/serviceaccount``: a token is good while it has not expired and the account, and the
Pod, Secret or Node it was made for, still exist. Tokens of the older kind, which lie in Secrets and do
not expire, are good for as long as their Secret holds them.
"""

from __future__ import annotations

import base64
import hmac
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clusterip.apiserver.authn import CREDENTIAL_ID, Identity, Rejected, User, shared
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.options import Options
from clusterip.apiserver.tls import write_private
from clusterip.objects import times
from clusterip.objects.codec import decode
from clusterip.objects.core.node import NODES
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.secret import SECRETS
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS
from clusterip.objects.registry import Resource
from clusterip.process import jwt
from clusterip.process.run import Fatal

PRIVATE_CLAIMS = "kubernetes.io"
LEGACY_ISSUER = "kubernetes/serviceaccount"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
EXTENDED_SECONDS = 365 * 24 * 3600
"""How long automatic tokens are good, though they say an hour: for Pods that do not read them again."""

_LEGACY = "kubernetes.io/serviceaccount/"
_PREFIX = "authentication.kubernetes.io/"
_LEEWAY_SECONDS = 60.0
_CACHED = 1000
_INVALIDATED = "service account token has been invalidated"


class _Metadata(msgspec.Struct):
    uid: str = ""
    deletionTimestamp: str | None = None


class _Identified(msgspec.Struct):
    """As much of an object as tells which one it is."""

    metadata: _Metadata


class ServiceAccountTokens:
    """Makes tokens and tells whose they are.

    The first of ``issuers`` signs new tokens; tokens of all of them are accepted, signed with any of
    ``keys``. Without ``audiences`` of their own, tokens are for the issuers.
    """

    def __init__(
        self,
        cache: WatchCache,
        issuers: Sequence[str],
        signing: jwt.PrivateKey,
        keys: Sequence[jwt.PublicKey] = (),
        audiences: Sequence[str] = (),
    ) -> None:
        self.issuers = list(issuers)
        self.audiences = list(audiences) or self.issuers
        self.keys = list(keys) or [signing.public_key()]
        self._cache = cache
        self._signer = jwt.Signer(signing)
        self._by_id: dict[str, list[jwt.PublicKey]] = {}
        for key in self.keys:
            self._by_id.setdefault(jwt.key_id(key), []).append(key)
        self._verified: dict[str, dict[str, Any]] = {}

    @classmethod
    def open(cls, options: Options, cache: WatchCache) -> ServiceAccountTokens:
        """With the keys of the options; the signing key is made if none is given.

        Raises:
            Fatal: a key file cannot be used.
        """
        path = options.service_account_signing_key_file or str(Path(options.cert_dir) / "sa.key")
        if not options.service_account_signing_key_file and not Path(path).exists():
            _make_key(Path(path))
        try:
            signing = jwt.read_private(path)
        except jwt.BadKey as error:
            raise Fatal(f"cannot use {path} to sign service account tokens: {error}") from None
        keys: dict[str, jwt.PublicKey] = {}
        for file in options.service_account_key_files:
            try:
                keys |= {jwt.key_id(key): key for key in jwt.read_public(file)}
            except jwt.BadKey as error:
                raise Fatal(f"cannot use --service-account-key-file {file}: {error}") from None
        keys.setdefault(jwt.key_id(signing.public_key()), signing.public_key())
        return cls(
            cache, options.service_account_issuers, signing, list(keys.values()), options.api_audiences
        )

    @property
    def issuer(self) -> str:
        """The issuer of new tokens."""
        return self.issuers[0]

    def issue(
        self,
        subject: str,
        audiences: Sequence[str],
        seconds: int,
        bound: dict[str, Any],
        *,
        warn_after: int = 0,
    ) -> str:
        """A token for ``subject`` (``system:serviceaccount:NS:NAME``); ``bound`` says to what.

        ``warn_after`` are the seconds after which its use shows that somebody does not renew tokens.
        """
        now = int(time.time())
        if warn_after:
            bound = {**bound, "warnafter": now + warn_after}
        return self._signer.sign(
            {
                "aud": list(audiences) or self.audiences,
                "exp": now + seconds,
                "iat": now,
                "iss": self.issuer,
                "jti": str(uuid.uuid4()),
                PRIVATE_CLAIMS: bound,
                "nbf": now,
                "sub": subject,
            }
        )

    def identify(self, token: str, audiences: Sequence[str]) -> Identity | None:
        """Raises Rejected as ``Tokens.identify``."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
            if claims is None:
                return None
            if len(self._verified) >= _CACHED:
                self._verified.clear()
            self._verified[token] = claims
        given = claims["aud"] or self.audiences  # tokens without any are for the API server
        common = shared(given, audiences)
        if not common:
            raise Rejected(
                f"token audiences {_quoted(given)} is invalid for the target audiences {_quoted(audiences)}"
            )
        try:
            user = self._legacy(token, claims) if claims["iss"] == LEGACY_ISSUER else self._bound(claims)
        except (AttributeError, KeyError, TypeError):
            raise Rejected("service account token claims could not be validated") from None
        return Identity(user, common)

    def _verify(self, token: str) -> dict[str, Any] | None:
        """The claims of one of our tokens; None if it is not ours."""
        try:
            parsed = jwt.parse(token)
        except jwt.Malformed:
            return None
        if parsed.claims.get("iss") not in (*self.issuers, LEGACY_ISSUER):
            return None
        kid = parsed.header.get("kid")
        keys = self._by_id.get(str(kid), []) if kid else self.keys
        if not keys:
            raise Rejected("invalid signature, no keys found")
        for key in keys:
            try:
                jwt.verify(parsed, key)
            except jwt.WrongSignature:
                continue
            audience = parsed.claims.get("aud") or []
            audiences = audience if isinstance(audience, list) else [audience]
            return {**parsed.claims, "aud": [str(each) for each in audiences]}
        raise Rejected("go-jose/go-jose: error in cryptographic primitive")

    def _bound(self, claims: dict[str, Any]) -> User:
        _check_time(claims)
        bound = claims[PRIVATE_CLAIMS]
        namespace, account = bound["namespace"], bound["serviceaccount"]
        name, uid = account["name"], account["uid"]
        self._check_account(namespace, name, uid)
        extra: dict[str, list[str]] = {}
        secret, pod, node = bound.get("secret"), bound.get("pod"), bound.get("node")
        if secret is not None:
            self._check_bound(SECRETS, namespace, secret, "secret")
        if pod is not None:
            self._check_bound(PODS, namespace, pod, "pod")
            extra[f"{_PREFIX}pod-name"], extra[f"{_PREFIX}pod-uid"] = [pod["name"]], [pod["uid"]]
        elif node is not None:
            self._check_bound(NODES, "", node, "node")
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = [f"JTI={claims['jti']}"]
        if node is not None:
            extra[f"{_PREFIX}node-name"] = [node["name"]]
            if node.get("uid"):
                extra[f"{_PREFIX}node-uid"] = [node["uid"]]
        return _user(namespace, name, uid, extra)

    def _legacy(self, token: str, claims: dict[str, Any]) -> User:
        names = {
            key: claims.get(f"{_LEGACY}{key}", "")
            for key in ("namespace", "secret.name", "service-account.name", "service-account.uid")
        }
        namespace, account, uid = (
            names["namespace"],
            names["service-account.name"],
            names["service-account.uid"],
        )
        for key, said in (
            ("namespace", "namespace"),
            ("secret.name", "secretName"),
            ("service-account.name", "serviceAccountName"),
            ("service-account.uid", "serviceAccountUID"),
        ):
            if not names[key]:
                raise Rejected(f"{said} claim is missing")
        if claims.get("sub") != f"system:serviceaccount:{namespace}:{account}":
            raise Rejected("sub claim is invalid")
        entry = self._cache.of(SECRETS).get(namespace, names["secret.name"])
        secret = entry.decode() if entry is not None else None
        if secret is None or secret.metadata.deletionTimestamp is not None:
            raise Rejected("Token has been invalidated")
        if not hmac.compare_digest(base64.b64decode(secret.data.get("token", "")), token.encode()):
            raise Rejected("Token does not match server's copy")
        self._check_account(namespace, account, uid)
        if secret.metadata.labels.get(INVALID_SINCE):
            raise Rejected(
                f"the token in secret {namespace}/{names['secret.name']} for service account "
                f"{namespace}/{account} has been marked invalid. Use tokens from the TokenRequest API or "
                f"manually created secret-based tokens, or remove the '{INVALID_SINCE}' label from the "
                "secret to temporarily allow use of this token"
            )
        return _user(namespace, account, uid, {})

    def _check_account(self, namespace: str, name: str, uid: str) -> None:
        entry = self._cache.of(SERVICEACCOUNTS).get(namespace, name)
        if entry is None:
            raise Rejected(f'serviceaccounts "{name}" not found')
        meta = decode(entry.item, _Identified).metadata
        if meta.uid != uid:
            raise Rejected(f"service account UID ({meta.uid}) does not match claim ({uid})")
        if _is_long_deleted(meta.deletionTimestamp):
            raise Rejected(f"service account {namespace}/{name} has been deleted")

    def _check_bound(
        self, resource: Resource[Any], namespace: str, reference: dict[str, str], what: str
    ) -> None:
        entry = self._cache.of(resource).get(namespace, reference["name"])
        if entry is None:
            raise Rejected(_INVALIDATED)
        meta = decode(entry.item, _Identified).metadata
        if meta.uid != reference["uid"]:
            raise Rejected(
                f"{what} UID ({meta.uid}) does not match service account {what} ref claim "
                f"({reference['uid']})"
            )
        if _is_long_deleted(meta.deletionTimestamp):
            raise Rejected(_INVALIDATED)


def _user(namespace: str, name: str, uid: str, extra: dict[str, list[str]]) -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(f"system:serviceaccount:{namespace}:{name}", uid, groups, extra)


def _check_time(claims: dict[str, Any]) -> None:
    now = time.time()
    if now - _LEEWAY_SECONDS > claims["exp"]:
        raise Rejected("service account token has expired")
    if now + _LEEWAY_SECONDS < claims.get("nbf", 0):
        raise Rejected("service account token is not valid yet")
    if now + _LEEWAY_SECONDS < claims.get("iat", 0):
        raise Rejected("service account token is issued in the future")


def _is_long_deleted(timestamp: str | None) -> bool:
    if timestamp is None:
        return False
    return times.parse(timestamp) < datetime.now(UTC) - timedelta(seconds=_LEEWAY_SECONDS)


def _quoted(texts: Sequence[str]) -> str:
    return "[" + " ".join(f'"{text}"' for text in texts) + "]"


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, pem)
