"""``serviceaccounts/NAME/token``: tokens for service accounts (``authentication.k8s.io/v1``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import read_options
from clusterip.apiserver.encoding import finish
from clusterip.apiserver.tokens import ServiceAccountTokens
from clusterip.objects import times
from clusterip.objects.base import Struct
from clusterip.objects.codec import encode
from clusterip.objects.core.pod import PODS
from clusterip.objects.errors import invalid
from clusterip.objects.meta import Object, ObjectMeta
from clusterip.objects.registry import Resource

SHORTEST, LONGEST, USUAL = 600, 1 << 32, 3600
"""Seconds that a token may be, and usually is, good for."""


class BoundObjectReference(Struct):
    kind: str = ""
    apiVersion: str = ""
    name: str = ""
    uid: str = ""


class TokenRequestSpec(Struct):
    audiences: list[str] = []
    expirationSeconds: int | None = None
    boundObjectRef: BoundObjectReference | None = None


class TokenRequestStatus(Struct):
    token: str = ""
    expirationTimestamp: str | None = None


class TokenRequest(Object):
    spec: TokenRequestSpec = msgspec.field(default_factory=TokenRequestSpec)
    status: TokenRequestStatus = msgspec.field(default_factory=TokenRequestStatus)


_REQUESTS: Resource[Any] = Resource(
    type=TokenRequest, group="authentication.k8s.io", version="v1", plural="tokenrequests", namespaced=True
)


class TokenRequests:
    def __init__(self, tokens: ServiceAccountTokens) -> None:
        self._tokens = tokens

    async def serve(self, call: Call, resource: Resource[Any]) -> web.Response:
        info = call.info
        if info.verb != "create":
            raise status.method_not_allowed()
        request = read_options(await call.body(), call.content_type, TokenRequest)
        account = (await call.server.objects.get(resource, info.namespace, info.name)).decode()
        seconds = USUAL if request.spec.expirationSeconds is None else request.spec.expirationSeconds
        if not SHORTEST <= seconds <= LONGEST:
            why = (
                "may not specify a duration less than 10 minutes"
                if seconds < SHORTEST
                else "may not specify a duration larger than 2^32 seconds"
            )
            raise status.invalid(_REQUESTS, info.name, [invalid("spec.expirationSeconds", seconds, why)])
        bound: dict[str, Any] = {
            "namespace": info.namespace,
            "serviceaccount": {"name": info.name, "uid": account.metadata.uid},
        }
        await self._bind(call, request, bound)
        subject = f"system:serviceaccount:{info.namespace}:{info.name}"
        audiences = request.spec.audiences or [self._tokens.issuer]
        request.spec.audiences = audiences
        request.spec.expirationSeconds = seconds
        request.kind, request.apiVersion = "TokenRequest", "authentication.k8s.io/v1"
        request.metadata = ObjectMeta(name=info.name, namespace=info.namespace, creationTimestamp=times.now())
        request.status = TokenRequestStatus(
            token=self._tokens.issue(subject, audiences, seconds, bound),
            expirationTimestamp=times.format_time(datetime.now(UTC) + timedelta(seconds=seconds)),
        )
        return call.reply(finish(encode(request), call.form), 201)

    async def _bind(self, call: Call, request: TokenRequest, bound: dict[str, Any]) -> None:
        reference = request.spec.boundObjectRef
        if reference is None:
            return
        if (reference.kind, reference.apiVersion) != ("Pod", "v1"):
            raise status.bad_request(
                f"cannot bind token for serviceaccount to object of type {reference.apiVersion}, "
                f"Kind={reference.kind}"
            )
        pod = (await call.server.objects.get(PODS, call.info.namespace, reference.name)).decode()
        if reference.uid and reference.uid != pod.metadata.uid:
            raise status.conflict(
                PODS,
                reference.name,
                f"the UID in the bound object reference ({reference.uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        bound["pod"] = {"name": pod.metadata.name, "uid": pod.metadata.uid}
