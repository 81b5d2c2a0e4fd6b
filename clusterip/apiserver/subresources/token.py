"""``serviceaccounts/NAME/token``: tokens for service accounts (``authentication.k8s.io/v1``).

As ``pkg/registry/core/serviceaccount/storage/token.go``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.service_account import TOKEN_SECONDS
from clusterip.apiserver.call import Call
from clusterip.apiserver.encoding import finish
from clusterip.apiserver.reviews.reading import read
from clusterip.apiserver.tokens import EXTENDED_SECONDS, ServiceAccountTokens
from clusterip.objects import times
from clusterip.objects.base import Struct, always, always_list
from clusterip.objects.codec import encode
from clusterip.objects.core.node import NODES
from clusterip.objects.core.pod import PODS
from clusterip.objects.core.secret import SECRETS
from clusterip.objects.core.serviceaccount import ServiceAccount
from clusterip.objects.errors import ErrorList, invalid
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource

SHORTEST, LONGEST, USUAL = 600, 1 << 32, 3600
"""Seconds that a token may be, and usually is, good for."""


class BoundObjectReference(Struct):
    kind: str = ""
    apiVersion: str = ""
    name: str = ""
    uid: str = ""


class TokenRequestSpec(Struct):
    audiences: list[str] = always_list()
    expirationSeconds: int | None = None
    boundObjectRef: BoundObjectReference | None = always(None)


class TokenRequestStatus(Struct):
    token: str = always("")
    expirationTimestamp: str | None = None


class TokenRequest(Object):
    spec: TokenRequestSpec = msgspec.field(default_factory=TokenRequestSpec)
    status: TokenRequestStatus = msgspec.field(default_factory=TokenRequestStatus)


_REQUESTS: Resource[TokenRequest] = Resource(
    type=TokenRequest, group="authentication.k8s.io", version="v1", plural="tokenrequests", namespaced=True
)
# Conflicts name the kind where a resource should stand, as upstream's do.
_CONFLICTS: Resource[Any] = Resource(
    type=TokenRequest, group="authentication.k8s.io", version="v1", plural="TokenRequest", namespaced=True
)
_BINDABLE: dict[str, Resource[Any]] = {"Pod": PODS, "Node": NODES, "Secret": SECRETS}


class TokenRequests:
    """``longest`` are the seconds that no token outlives, whatever is asked for; 0: no such limit.

    ``extend`` lets automatic tokens live longer than they say, for Pods that read theirs only once.
    """

    def __init__(self, tokens: ServiceAccountTokens, *, longest: int = 0, extend: bool = True) -> None:
        self._tokens = tokens
        self._longest = longest
        self._extend = extend

    async def serve(self, call: Call, resource: Resource[Any]) -> web.Response:
        info = call.info
        if info.verb != "create":
            raise status.method_not_allowed()
        request = await read(call, _REQUESTS)
        spec = request.spec
        if spec.expirationSeconds is None:
            spec.expirationSeconds = USUAL
        await call.server.objects.admission.judge(
            Attributes("CREATE", call.user, resource, info.namespace, info.name, request, subresource="token")
        )
        _check_identity(request, info.name, info.namespace)
        account = (await call.server.objects.get(resource, info.namespace, info.name)).decode()
        now = datetime.now(UTC)
        self._complete(request, account, now)
        errors = _validate(spec)
        if errors:
            raise status.invalid(_REQUESTS, "", errors)
        bound = await self._bind(call, spec.boundObjectRef, account)
        if 0 < self._longest < spec.expirationSeconds:
            call.warnings.append(
                f"requested expiration of {spec.expirationSeconds} seconds shortened to "
                f"{self._longest} seconds"
            )
            spec.expirationSeconds = self._longest
        request.status = TokenRequestStatus(
            token=self._issue(account, spec, bound),
            expirationTimestamp=times.format_time(now + timedelta(seconds=spec.expirationSeconds)),
        )
        return call.reply(finish(encode(request), call.form), 201)

    def _complete(self, request: TokenRequest, account: ServiceAccount, now: datetime) -> None:
        meta = request.metadata
        if meta.uid not in ("", account.metadata.uid):
            raise status.conflict(
                _CONFLICTS,
                account.metadata.name,
                f"the UID in the token request ({meta.uid}) does not match the UID of the service account "
                f"({account.metadata.uid})",
            )
        meta.name, meta.namespace = account.metadata.name, account.metadata.namespace
        meta.uid = account.metadata.uid
        meta.creationTimestamp = times.format_time(now)
        request.kind, request.apiVersion = "TokenRequest", "authentication.k8s.io/v1"
        request.spec.audiences = request.spec.audiences or list(self._tokens.audiences)

    def _issue(self, account: ServiceAccount, spec: TokenRequestSpec, bound: dict[str, Any]) -> str:
        meta = account.metadata
        seconds = spec.expirationSeconds or USUAL
        warn_after = 0
        ours = set(spec.audiences) <= set(self._tokens.audiences)
        if self._extend and "pod" in bound and seconds == TOKEN_SECONDS and ours:
            seconds, warn_after = EXTENDED_SECONDS, seconds
        claims = {
            "namespace": meta.namespace,
            "serviceaccount": {"name": meta.name, "uid": meta.uid},
            **bound,
        }
        subject = f"system:serviceaccount:{meta.namespace}:{meta.name}"
        return self._tokens.issue(subject, spec.audiences, seconds, claims, warn_after=warn_after)

    async def _bind(
        self, call: Call, reference: BoundObjectReference | None, account: ServiceAccount
    ) -> dict[str, Any]:
        """What the token is bound to: it ends when that is deleted."""
        if reference is None:
            return {}
        group, _, version = reference.apiVersion.rpartition("/")
        resource = _BINDABLE.get(reference.kind) if not group else None
        if resource is None:
            shown = f"{group}/{version}, Kind={reference.kind}"
            raise status.bad_request(f"cannot bind token to object of type {shown}")
        objects, namespace = call.server.objects, account.metadata.namespace
        found = await objects.get(resource, namespace if resource.namespaced else "", reference.name)
        obj = found.decode()
        bound: dict[str, Any] = {}
        if resource is PODS:
            if obj.spec.serviceAccountName != account.metadata.name:
                raise status.bad_request(
                    f'cannot bind token for serviceaccount "{account.metadata.name}" to pod running with '
                    "different serviceaccount name."
                )
            if obj.spec.nodeName:
                node = objects.cache.of(NODES).get("", obj.spec.nodeName)
                bound["node"] = {"name": obj.spec.nodeName}
                if node is not None:
                    bound["node"]["uid"] = node.decode().metadata.uid
        meta = obj.metadata
        if reference.uid and reference.uid != meta.uid:
            raise status.conflict(
                Resource(type=resource.type, group="", version="v1", plural=resource.kind, namespaced=False),
                reference.name,
                f"the UID in the bound object reference ({reference.uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        return {**bound, resource.kind.lower(): {"name": meta.name, "uid": meta.uid}}


def _check_identity(request: TokenRequest, name: str, namespace: str) -> None:
    """Raises StatusError (400, 422) if the body speaks of another account than the URL."""
    meta = request.metadata
    if meta.namespace not in ("", namespace):
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if meta.name not in ("", name):
        why = "must match the service account name if specified"
        raise status.invalid(_REQUESTS, name, [invalid("metadata.name", meta.name, why)])


def _validate(spec: TokenRequestSpec) -> ErrorList:
    seconds = spec.expirationSeconds or 0
    if seconds < SHORTEST:
        message = "may not specify a duration less than 10 minutes"
    elif seconds > LONGEST:
        message = "may not specify a duration larger than 2^32 seconds"
    else:
        return []
    return [invalid("spec.expirationSeconds", seconds, message)]
