"""JSON Web Tokens as Kubernetes signs them (RFC 7519), and the keys for it (RFC 7517, 7518).

Keys are named by the hash of their public half (``pkg/serviceaccount/jwt.go``), so that a verifier finds
the right one of several while keys are replaced.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_PEM_END = b"-----END "
_CURVES: dict[str, tuple[str, str, hashes.HashAlgorithm]] = {
    "secp256r1": ("ES256", "P-256", hashes.SHA256()),
    "secp384r1": ("ES384", "P-384", hashes.SHA384()),
    "secp521r1": ("ES512", "P-521", hashes.SHA512()),
}


class BadKey(ValueError):
    """A key file cannot be used; the text says why."""


class Malformed(ValueError):
    """Not a token at all."""


class WrongSignature(ValueError):
    """A token that was not signed with the key."""


@dataclass(frozen=True)
class Token:
    """A token taken apart; nothing of it is verified yet."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


class Signer:
    """Makes tokens with one key."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self._header = {"alg": algorithm(key.public_key()), "kid": key_id(key.public_key())}

    def sign(self, claims: Mapping[str, Any]) -> str:
        signed = f"{_encode_json(self._header)}.{_encode_json(claims)}"
        return f"{signed}.{_encode(self._signature(signed.encode()))}"

    def _signature(self, text: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        size = _size(self._key.curve)
        r, s = decode_dss_signature(self._key.sign(text, ec.ECDSA(_CURVES[self._key.curve.name][2])))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def parse(token: str) -> Token:
    """Raises Malformed."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Malformed("not three parts between dots")
    try:
        header, claims = (json.loads(_decode(part)) for part in parts[:2])
        signature = _decode(parts[2])
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Malformed("a part is not an object")
    return Token(header, claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def verify(token: Token, key: PublicKey) -> None:
    """Raises WrongSignature unless ``key`` signed the token, with the algorithm that goes with the key."""
    if token.header.get("alg") != algorithm(key):
        raise WrongSignature("signed with another algorithm")
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(token.signature, token.signed, padding.PKCS1v15(), hashes.SHA256())
            return
        size = _size(key.curve)
        if len(token.signature) != 2 * size:
            raise WrongSignature("a signature of the wrong length")
        r, s = (int.from_bytes(half, "big") for half in (token.signature[:size], token.signature[size:]))
        key.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(_CURVES[key.curve.name][2]))
    except InvalidSignature:
        raise WrongSignature("signed with another key, or changed since") from None


def key_id(key: PublicKey) -> str:
    """What tokens call the key that signed them."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _encode(hashlib.sha256(der).digest())


def algorithm(key: PublicKey) -> str:
    """The name (RFC 7518) of how a key signs."""
    return "RS256" if isinstance(key, rsa.RSAPublicKey) else _CURVES[key.curve.name][0]


def jwk(key: PublicKey) -> dict[str, str]:
    """The key as an item of a key set (RFC 7517)."""
    common = {"use": "sig", "kid": key_id(key), "alg": algorithm(key)}
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {**common, "kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    point, size = key.public_numbers(), _size(key.curve)
    return {
        **common,
        "kty": "EC",
        "crv": _CURVES[key.curve.name][1],
        "x": _encode(point.x.to_bytes(size, "big")),
        "y": _encode(point.y.to_bytes(size, "big")),
    }


def read_private(path: str) -> PrivateKey:
    """The key of a PEM file.

    Raises:
        BadKey: it cannot be read, or is no RSA or EC key that tokens can be signed with.
    """
    try:
        key = serialization.load_pem_private_key(Path(path).read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(str(error)) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise BadKey("neither an RSA nor an EC key")
    _check(key.public_key())
    return key


def read_public(path: str) -> list[PublicKey]:
    """The public keys of a PEM file: of each key, private or public, that is in it.

    Raises:
        BadKey: it cannot be read, there is no key in it, or one of a kind that does not sign tokens.
    """
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise BadKey(str(error)) from None
    keys: list[PublicKey] = []
    for block in _blocks(pem):
        try:
            key = (
                serialization.load_pem_private_key(block, None).public_key()
                if b"PRIVATE KEY" in block
                else serialization.load_pem_public_key(block)
            )
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadKey(str(error)) from None
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise BadKey("neither an RSA nor an EC key")
        _check(key)
        keys.append(key)
    if not keys:
        raise BadKey("there is no key in it")
    return keys


def _check(key: PublicKey) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        raise BadKey(f"curve {key.curve.name} does not sign tokens: use P-256, P-384 or P-521")


def _blocks(pem: bytes) -> list[bytes]:
    """The parts of a PEM file that hold keys (EC parameters may come before one)."""
    blocks, current = [], b""
    for line in pem.splitlines(keepends=True):
        current += line
        if line.startswith(_PEM_END):
            if b"KEY-----" in line:
                blocks.append(current)
            current = b""
    return blocks


def _size(curve: ec.EllipticCurve) -> int:
    return (curve.key_size + 7) // 8


def _number(value: int) -> str:
    return _encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode_json(value: Any) -> str:
    return _encode(json.dumps(value, separators=(",", ":")).encode())


def _decode(text: str) -> bytes:
    if len(text) % 4 == 1:
        raise ValueError("not base64")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
