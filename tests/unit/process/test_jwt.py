"""Signed tokens: what was signed verifies, and nothing else does."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from clusterip.process import jwt

KEYS: dict[str, jwt.PrivateKey] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}


def pem(key: jwt.PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: jwt.PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize("algorithm", KEYS)
def test_what_was_signed_verifies(algorithm: str) -> None:
    key = KEYS[algorithm]
    token = jwt.parse(jwt.Signer(key).sign({"sub": "someone", "exp": 5}))
    assert token.header == {"alg": algorithm, "kid": jwt.key_id(key.public_key())}
    assert token.claims == {"sub": "someone", "exp": 5}
    jwt.verify(token, key.public_key())


@pytest.mark.parametrize("algorithm", KEYS)
def test_no_other_key_verifies(algorithm: str) -> None:
    token = jwt.parse(jwt.Signer(KEYS[algorithm]).sign({"sub": "someone"}))
    for other, key in KEYS.items():
        if other != algorithm:
            with pytest.raises(jwt.WrongSignature):
                jwt.verify(token, key.public_key())
    another = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(jwt.WrongSignature):
        jwt.verify(token, another.public_key())


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_changed_token_does_not_verify(algorithm: str) -> None:
    key = KEYS[algorithm]
    head, body, signature = jwt.Signer(key).sign({"sub": "someone"}).split(".")
    forged = base64.urlsafe_b64encode(b'{"sub":"somebody else"}').rstrip(b"=").decode()
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    for text in (
        f"{head}.{forged}.{signature}",
        f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        f"{head}.{body}.",
        f"{unsigned}.{body}.",
        f"{unsigned}.{body}.{signature}",
    ):
        with pytest.raises(jwt.WrongSignature):
            jwt.verify(jwt.parse(text), key.public_key())


@given(st.text() | st.from_regex(r"\A[\w-]*\.[\w-]*\.[\w-]*\Z"))
def test_whatever_is_no_token_is_malformed(text: str) -> None:
    try:
        jwt.parse(text)
    except jwt.Malformed:
        return


def test_a_token_nested_too_deep_is_malformed() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 40_000).rstrip(b"=").decode()
    with pytest.raises(jwt.Malformed):
        jwt.parse(f"{deep}.{deep}.x")


def test_a_file_of_several_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    path.write_bytes(public_pem(KEYS["RS256"]) + pem(KEYS["ES256"]) + b"\n" + public_pem(KEYS["ES384"]))
    found = [jwt.algorithm(key) for key in jwt.read_public(str(path))]
    assert found == ["RS256", "ES256", "ES384"]


def test_keys_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content, why in (
        (b"", "no key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "."),
        (other, "neither an RSA nor an EC key"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "curve secp256k1 does not sign tokens"),
    ):
        path.write_bytes(content)
        with pytest.raises(jwt.BadKey, match=why):
            jwt.read_public(str(path))
    with pytest.raises(jwt.BadKey):
        jwt.read_private(str(tmp_path / "missing"))


def test_a_key_as_others_read_it() -> None:
    # The example of RFC 7517, appendix A.1.
    x = int.from_bytes(base64.urlsafe_b64decode("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4="), "big")
    y = int.from_bytes(base64.urlsafe_b64decode("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM="), "big")
    shown = jwt.jwk(ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
    assert (shown["kty"], shown["crv"]) == ("EC", "P-256")
    assert shown["x"] == "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
    assert shown["y"] == "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
    rsa_key = jwt.jwk(KEYS["RS256"].public_key())
    assert (rsa_key["kty"], rsa_key["e"], rsa_key["alg"]) == ("RSA", "AQAB", "RS256")
