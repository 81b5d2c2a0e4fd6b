"""Service account tokens: JSON Web Tokens signed by this cluster and bound to objects in it.

As upstream's ``pkg/serviceaccount``: a token is good while it has not expired and the account (and
Pod) it was made for still exist.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from clusterip.apiserver.authn import AUTHENTICATED, User
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.options import Options
from clusterip.apiserver.tls import write_private
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS
from clusterip.objects.registry import Resource
from clusterip.process.run import Fatal

PRIVATE_CLAIMS = "kubernetes.io"
_CACHED = 1000

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class ServiceAccountTokens:
    """Makes tokens and tells whose they are."""

    def __init__(
        self, cache: WatchCache, issuer: str, signing: PrivateKey, accepted: Sequence[PublicKey] = ()
    ) -> None:
        self.issuer = issuer
        self._cache = cache
        self._signing = signing
        self._keys = {key_id(key): key for key in (signing.public_key(), *accepted)}
        self._known: dict[str, dict[str, Any]] = {}

    @classmethod
    def open(cls, options: Options, cache: WatchCache) -> ServiceAccountTokens:
        """With the keys of the options; the signing key is made if none is given.

        Raises:
            Fatal: a key file cannot be used.
        """
        path = options.service_account_signing_key_file or str(Path(options.cert_dir) / "sa.key")
        if not options.service_account_signing_key_file and not Path(path).exists():
            _make_key(Path(path))
        signing = _read_private(path)
        accepted = [_read_public(file) for file in options.service_account_key_files]
        return cls(cache, options.service_account_issuer, signing, accepted)

    def issue(self, subject: str, audiences: Sequence[str], seconds: int, bound: dict[str, Any]) -> str:
        """A token for ``subject`` (``system:serviceaccount:NS:NAME``); ``bound`` says to what."""
        now = int(time.time())
        claims = {
            "aud": list(audiences) or [self.issuer],
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            PRIVATE_CLAIMS: bound,
            "nbf": now,
            "sub": subject,
        }
        algorithm = "RS256" if isinstance(self._signing, rsa.RSAPrivateKey) else "ES256"
        header = {"alg": algorithm, "kid": key_id(self._signing.public_key())}
        signed = f"{_encode_json(header)}.{_encode_json(claims)}"
        return f"{signed}.{_encode(self._sign(signed.encode()))}"

    def user(self, token: str) -> User | None:
        """Whose token this is; None if it is none of this cluster's or no longer good."""
        claims = self._known.get(token)
        if claims is None:
            claims = self._verified(token)
            if claims is None:
                return None
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[token] = claims
        if not claims["nbf"] <= time.time() + 5 or time.time() >= claims["exp"]:
            self._known.pop(token, None)
            return None
        return self._bound_user(claims)

    def _bound_user(self, claims: dict[str, Any]) -> User | None:
        bound = claims.get(PRIVATE_CLAIMS, {})
        namespace = bound.get("namespace", "")
        account = bound.get("serviceaccount", {})
        name, uid = account.get("name", ""), account.get("uid", "")
        if not self._exists(SERVICEACCOUNTS, namespace, name, uid):
            return None
        extra: dict[str, list[str]] = {}
        pod = bound.get("pod")
        if pod is not None:
            if not self._exists(PODS, namespace, pod.get("name", ""), pod.get("uid", "")):
                return None
            extra["authentication.kubernetes.io/pod-name"] = [pod["name"]]
            extra["authentication.kubernetes.io/pod-uid"] = [pod["uid"]]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        return User(f"system:serviceaccount:{namespace}:{name}", uid, groups, extra)

    def _exists(self, resource: Resource[Any], namespace: str, name: str, uid: str) -> bool:
        entry = self._cache.of(resource).get(namespace, name)
        return entry is not None and f'"uid":"{uid}"'.encode() in entry.body

    def _verified(self, token: str) -> dict[str, Any] | None:
        try:
            signed, _, signature = token.rpartition(".")
            head, _, body = signed.partition(".")
            header, claims = json.loads(_decode(head)), json.loads(_decode(body))
            key = self._keys.get(header.get("kid", ""))
            if key is None or claims.get("iss") != self.issuer or self.issuer not in claims.get("aud", ()):
                return None
            _verify(key, signed.encode(), _decode(signature))
            return {**claims, "exp": int(claims["exp"]), "nbf": int(claims.get("nbf", 0))}
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, InvalidSignature):
            return None

    def _sign(self, text: bytes) -> bytes:
        if isinstance(self._signing, rsa.RSAPrivateKey):
            return self._signing.sign(text, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self._signing.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def key_id(key: PublicKey) -> str:
    """What tokens call the key that signed them."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _encode(hashlib.sha256(der).digest())


def _verify(key: PublicKey, text: bytes, signature: bytes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        return
    if len(signature) != 64:
        raise InvalidSignature
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.verify(encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA256()))


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, pem)


def _read_private(path: str) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(Path(path).read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise Fatal(f"cannot use {path} to sign service account tokens: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise Fatal(f"cannot use {path} to sign service account tokens: neither an RSA nor an EC key")
    return key


def _read_public(path: str) -> PublicKey:
    try:
        pem = Path(path).read_bytes()
        key = (
            serialization.load_pem_private_key(pem, None).public_key()
            if b"PRIVATE KEY" in pem
            else serialization.load_pem_public_key(pem)
        )
    except (OSError, ValueError, TypeError) as error:
        raise Fatal(f"cannot use --service-account-key-file {path}: {error}") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise Fatal(f"cannot use --service-account-key-file {path}: neither an RSA nor an EC key")
    return key


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode_json(value: Any) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
