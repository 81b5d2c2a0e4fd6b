"""Bootstrap tokens, with which machines join (``kube-system/bootstrap-token-ID``, as kubeadm makes them)."""

from __future__ import annotations

import base64
import secrets
import string
from datetime import UTC, datetime, timedelta

from clusterip.client.errors import ApiError
from clusterip.client.rest import Client
from clusterip.cluster.errors import ClusterError
from clusterip.objects import times
from clusterip.objects.core.secret import Secret
from clusterip.objects.meta import ObjectMeta

TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE = "kube-system"
PREFIX = "bootstrap-token-"
GROUP = "system:bootstrappers:clusterip:agents"
"""The group that everybody is in who shows such a token."""

_LETTERS = string.ascii_lowercase + string.digits


async def create(client: Client, life: timedelta | None, description: str = "") -> str:
    """Make a token that is good for ``life`` (None: for ever); the token, ``ID.SECRET``."""
    token_id, secret = _random(6), _random(16)
    data = {
        "token-id": token_id,
        "token-secret": secret,
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": GROUP,
    }
    if life is not None:
        data["expiration"] = times.format_time(datetime.now(UTC) + life)
    if description:
        data["description"] = description
    await client.create(
        Secret(
            metadata=ObjectMeta(name=PREFIX + token_id, namespace=NAMESPACE),
            type=TYPE,
            data={key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        )
    )
    return f"{token_id}.{secret}"


async def listed(client: Client) -> list[tuple[str, str, str]]:
    """The tokens there are: ID, when it ends ("never"), and what it is for."""
    found = await client.list(Secret, NAMESPACE, field_selector=f"type={TYPE}")
    return [
        (_value(secret, "token-id"), _value(secret, "expiration") or "never", _value(secret, "description"))
        for secret in found.items
    ]


async def delete(client: Client, token: str) -> None:
    """Delete a token, given whole or by its ID. Raises ClusterError if there is none."""
    token_id = token.partition(".")[0]
    try:
        await client.delete(Secret, PREFIX + token_id, NAMESPACE)
    except ApiError as error:
        if error.is_not_found:
            raise ClusterError(f"there is no token {token_id}; `clusterip token list` shows them") from None
        raise


def join_command(server: str, token: str, ca_hash: str) -> str:
    """What to type on the machine that is to join."""
    return f"clusterip agent --join {server} --token {token} --ca-hash {ca_hash}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _value(secret: Secret, key: str) -> str:
    return base64.b64decode(secret.data.get(key, "")).decode("utf-8", "replace")
