"""Who to be at a registry, out of a Pod's secrets."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from clusterip.node.images.login import Login
from clusterip.node.images.reference import parse
from clusterip.node.pods.logins import login_for
from clusterip.objects.core.secret import Secret


def auth(name: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:pass".encode()).decode()}


def secret(auths: dict[str, Any], key: str = ".dockerconfigjson") -> Secret:
    tree = auths if key == ".dockercfg" else {"auths": auths}
    return Secret(data={key: base64.b64encode(json.dumps(tree).encode()).decode()})


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("nginx", "hub"),
        ("docker.io/team/app:1", "hub"),
        ("reg.example.com:5000/app", "plain"),
        ("reg.example.com:5000/team/app", "team"),
        ("reg.example.com:5000/teams/app", "plain"),
        ("eu.cloud.example/app", "any"),
        ("a.b.cloud.example/app", None),
        ("other.example/app", None),
    ],
)
def test_the_most_exact_one_counts(image: str, user: str | None) -> None:
    auths = {
        "https://index.docker.io/v1/": auth("hub"),
        "reg.example.com:5000": auth("plain"),
        "https://reg.example.com:5000/team": auth("team"),
        "*.cloud.example": auth("any"),
    }
    assert login_for(parse(image), [secret(auths)]) == (Login(user, "pass") if user else None)


def test_forms_of_secrets() -> None:
    old = secret({"r.example": {"username": "u", "password": "p"}}, ".dockercfg")
    broken = Secret(data={".dockerconfigjson": base64.b64encode(b"{").decode()})
    assert login_for(parse("r.example/a"), [broken, Secret(), old]) == Login("u", "p")
