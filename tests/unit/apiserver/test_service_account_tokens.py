"""Tokens that say strange things: refused in words, never an error of the server's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from clusterip.apiserver.admission.chain import Admission
from clusterip.apiserver.authn import Authenticator, Rejected
from clusterip.apiserver.authz import AlwaysAllow
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.tokens import LEGACY_ISSUER, ServiceAccountTokens
from clusterip.objects.codec import convert
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.serviceaccount import SERVICEACCOUNTS
from clusterip.process import jwt
from clusterip.storage.sqlite import SQLiteStore

ISSUER, OLD_ISSUER = "https://issuer.example", "https://old.example"


class World:
    """A namespace with an account ``robot``, and the key that signs its tokens."""

    def __init__(self, cache: WatchCache, uid: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.tokens = ServiceAccountTokens(cache, [ISSUER, OLD_ISSUER], key)
        self.signer = jwt.Signer(key)
        self.account = {"name": "robot", "uid": uid}

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": [ISSUER],
            "sub": "system:serviceaccount:default:robot",
            "exp": now + 600,
            "nbf": now,
            "kubernetes.io": {"namespace": "default", "serviceaccount": self.account},
            **changed,
        }
        return {key: value for key, value in claims.items() if value is not ...}

    def user(self, **changed: Any) -> str:
        """Whose a token with such claims is."""
        identity = self.tokens.identify(self.signer.sign(self.claims(**changed)), [ISSUER])
        assert identity is not None
        return identity.user.name


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await SQLiteStore.open(tmp_path / "db")
    cache = WatchCache(store)
    task = asyncio.create_task(cache.run())
    await cache.ready.wait()
    objects = Objects(store, cache, Admission(cache, AlwaysAllow()), {})
    for resource, namespace, name in ((NAMESPACES, "", "default"), (SERVICEACCOUNTS, "default", "robot")):
        tree = {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {"name": name, "namespace": namespace},
        }
        entry = await objects.create(resource, namespace, convert(tree, resource.type))
    await cache.current()
    yield World(cache, entry.decode().metadata.uid)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await store.close()


async def test_good_tokens(world: World) -> None:
    robot = "system:serviceaccount:default:robot"
    assert world.user() == robot
    assert world.user(iss=OLD_ISSUER) == robot
    assert world.user(aud=ISSUER) == robot
    assert world.user(aud=["else", ISSUER]) == robot
    assert world.user(aud=...) == robot
    assert world.user(exp=time.time() - 30) == robot  # clocks differ


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"exp": 5}, "service account token has expired"),
        ({"exp": ...}, "claims could not be validated"),
        ({"exp": "soon"}, "claims could not be validated"),
        ({"nbf": 4_000_000_000}, "service account token is not valid yet"),
        ({"iat": 4_000_000_000}, "service account token is issued in the future"),
        ({"aud": ["else"]}, 'token audiences ["else"] is invalid for the target audiences ["' + ISSUER),
        ({"aud": 5}, 'token audiences ["5"]'),
        ({"aud": [["x"]]}, "token audiences"),
        ({"kubernetes.io": ...}, "claims could not be validated"),
        ({"kubernetes.io": []}, "claims could not be validated"),
        ({"kubernetes.io": {"namespace": "default"}}, "claims could not be validated"),
        ({"iss": LEGACY_ISSUER}, "namespace claim is missing"),
    ],
)
async def test_tokens_that_say_strange_things(world: World, changed: dict[str, Any], why: str) -> None:
    with pytest.raises(Rejected) as refused:
        world.user(**changed)
    assert why in str(refused.value)


async def test_an_account_of_the_same_name_is_another(world: World) -> None:
    bound = {"namespace": "default", "serviceaccount": {"name": "robot", "uid": "another"}}
    with pytest.raises(Rejected, match=r"service account UID .* does not match claim"):
        world.user(**{"kubernetes.io": bound})
    with pytest.raises(Rejected, match='serviceaccounts "robot" not found'):
        world.user(**{"kubernetes.io": {"namespace": "other", "serviceaccount": world.account}})


async def test_tokens_of_others_are_none_of_ours(world: World) -> None:
    assert world.tokens.identify(world.signer.sign(world.claims(iss="https://else")), [ISSUER]) is None
    for text in ("", "a.b.c", "abc", "e30.e30.e30", "e30.e30.", "W10.W10.W10"):
        assert world.tokens.identify(text, [ISSUER]) is None
    stranger = jwt.Signer(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(Rejected, match="invalid signature, no keys found"):
        world.tokens.identify(stranger.sign(world.claims()), [ISSUER])


async def test_what_is_said_of_a_token(world: World) -> None:
    authenticator = Authenticator([world.tokens], certificates=False, audiences=[ISSUER])
    assert authenticator.review("nonsense", [ISSUER]).error == "invalid bearer token"
    late = authenticator.review(world.signer.sign(world.claims(exp=5)), [ISSUER])
    assert late.error == "[invalid bearer token, service account token has expired]"
    good = authenticator.review(world.signer.sign(world.claims()), [ISSUER]).identity
    assert good is not None
    assert good.user.groups[-1] == "system:authenticated"
