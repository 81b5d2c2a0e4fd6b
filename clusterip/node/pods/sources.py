"""What Pods are made of beside their own spec: Services, ConfigMaps, Secrets, tokens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.objects import codec, times
from clusterip.objects.core.configmap import ConfigMap
from clusterip.objects.core.secret import Secret
from clusterip.objects.core.serviceaccount import ServiceAccount
from clusterip.objects.meta import Object

O = TypeVar("O", bound=Object)  # noqa: E741


_RENEW_AFTER = 0.8  # of a token's lifetime


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    uid: str = ""


class ServicePort(msgspec.Struct):
    name: str = ""
    port: int = 0
    protocol: str = "TCP"


class _ServiceSpec(msgspec.Struct):
    clusterIP: str = ""
    ports: list[ServicePort] = []


class SlimService(msgspec.Struct):
    """As much of a Service as environment variables need."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)


class _TokenStatus(msgspec.Struct):
    token: str = ""
    expirationTimestamp: str = ""


class _TokenRequest(msgspec.Struct):
    status: _TokenStatus = msgspec.field(default_factory=_TokenStatus)


@dataclass(frozen=True)
class _Token:
    token: str
    renew_at: float


class Sources:
    """Looks things up at the API server when a Pod needs them."""

    def __init__(self, client: Client, services: Informer[SlimService]) -> None:
        self._client = client
        self.services = services
        self._tokens: dict[tuple[str, str, str, int], _Token] = {}

    def services_of(self, namespace: str) -> Sequence[SlimService]:
        """The Services of a namespace that are known."""
        return self.services.by_index("namespace", namespace)

    async def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        """A ConfigMap, or None if there is none. Raises ApiError or Unreachable."""
        return await self._get(ConfigMap, namespace, name)

    async def secret(self, namespace: str, name: str) -> Secret | None:
        """A Secret, or None if there is none. Raises ApiError or Unreachable."""
        return await self._get(Secret, namespace, name)

    async def token(
        self, namespace: str, account: str, *, audience: str, seconds: int, pod_name: str, pod_uid: str
    ) -> str:
        """A token that proves a Pod's service account, bound to the Pod. Raises ApiError or Unreachable.

        The same one again until four fifths of its time are over, as upstream.
        """
        key = (pod_uid, account, audience, seconds)
        known = self._tokens.get(key)
        if known is not None and time.time() < known.renew_at:
            return known.token
        request: dict[str, Any] = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod_name, "uid": pod_uid},
            },
        }
        answer = await self._client.create_subresource(ServiceAccount, account, namespace, "token", request)
        status = codec.decode(answer, _TokenRequest).status
        lifetime = float(seconds)
        if status.expirationTimestamp:
            lifetime = -times.seconds_since(status.expirationTimestamp)
        self._tokens[key] = _Token(status.token, time.time() + lifetime * _RENEW_AFTER)
        return status.token

    def forget(self, pod_uid: str) -> None:
        """Drop the tokens of a Pod that is gone."""
        for key in [key for key in self._tokens if key[0] == pod_uid]:
            del self._tokens[key]

    async def _get(self, type_: type[O], namespace: str, name: str) -> O | None:
        try:
            return await self._client.get(type_, name, namespace)
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
