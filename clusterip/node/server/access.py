"""Who may use the kubelet API, and what of it: the API server is asked, as upstream's kubelet does.

A client shows a certificate of the cluster's authority or a bearer token (``TokenReview``); whether it may is
a question about a part of the node (``SubjectAccessReview``): ``nodes/stats``, ``nodes/metrics`` and others.
See ``pkg/kubelet/server/auth.go``.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.objects.authentication.reviews import TokenReview, TokenReviewSpec
from clusterip.objects.authorization.reviews import (
    ResourceAttributes,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
)
from clusterip.process import log

_log = log.get("node")

ADMINISTRATORS = "system:masters"
"""The group that may do everything; the API server's kubelet client certificate is of it."""

_OPEN = ("/healthz", "/livez", "/readyz")
_AUTHENTICATED = "system:authenticated"
_TOKEN_SECONDS, _ALLOWED_SECONDS, _DENIED_SECONDS = 120.0, 300.0, 30.0  # kubelet's
_REMEMBERED = 1024
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PARTS = {"stats": "stats", "metrics": "metrics", "logs": "log"}
_FINE_PARTS = {"pods": "pods", "runningpods": "pods", "configz": "configz", "healthz": "healthz"}
_PROXY = "proxy"

T = TypeVar("T")
Question = tuple[str, tuple[str, ...], str, str]
"""User, groups, verb and part of the node."""


@dataclass(frozen=True)
class Caller:
    """Who makes a request."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


def parts_of(path: str) -> list[str]:
    """The parts of a node that a path is about; a right to any of them is enough."""
    word = path.lstrip("/").partition("/")[0]
    if word in _PARTS:
        return [_PARTS[word]]
    return [_FINE_PARTS[word], _PROXY] if word in _FINE_PARTS else [_PROXY]


class Access:
    """Lets requests in, or answers 401 or 403."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node
        self._tokens: dict[str, tuple[float, Caller | None]] = {}
        self._answers: dict[Question, tuple[float, bool]] = {}

    def middleware(self) -> Any:
        """What an aiohttp application calls for every request."""

        @web.middleware
        async def check(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            if request.path not in _OPEN:
                await self._check(request)
            return await handler(request)

        return check

    async def _check(self, request: web.Request) -> None:
        caller = await self._caller(request)
        if caller is None:
            raise web.HTTPUnauthorized(text="Unauthorized")
        if ADMINISTRATORS in caller.groups:
            return
        verb, parts = _VERBS.get(request.method, "get"), parts_of(request.path)
        for part in parts:
            if await self._allowed(caller, verb, part):
                return
        about = f"resource=nodes, subresource(s)=[{' '.join(parts)}]"
        raise web.HTTPForbidden(text=f"Forbidden (user={caller.name}, verb={verb}, {about})\n")

    async def _caller(self, request: web.Request) -> Caller | None:
        certificate = request.get_extra_info("peercert")
        if certificate:
            subject = [pair for part in certificate.get("subject", ()) for pair in part]
            groups = tuple(value for key, value in subject if key == "organizationName")
            name = next((value for key, value in subject if key == "commonName"), "")
            return Caller(name, (*groups, _AUTHENTICATED))
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return await self._by_token(token.strip()) if scheme.lower() == "bearer" and token.strip() else None

    async def _by_token(self, token: str) -> Caller | None:
        known = self._tokens.get(token)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        review = TokenReview(spec=TokenReviewSpec(token=token))
        answer = await self._ask(self._client.create(review))
        user = answer.status.user if answer.status.authenticated else None
        caller = Caller(user.username, tuple(user.groups), user.uid) if user is not None else None
        _keep(self._tokens, token, (time.monotonic() + _TOKEN_SECONDS, caller))
        return caller

    async def _allowed(self, caller: Caller, verb: str, part: str) -> bool:
        question = caller.name, caller.groups, verb, part
        known = self._answers.get(question)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        about = ResourceAttributes(
            verb=verb, version="v1", resource="nodes", subresource=part, name=self._node
        )
        spec = SubjectAccessReviewSpec(
            resourceAttributes=about, user=caller.name, groups=list(caller.groups), uid=caller.uid
        )
        answer = await self._ask(self._client.create(SubjectAccessReview(spec=spec)))
        allowed = answer.status.allowed
        until = time.monotonic() + (_ALLOWED_SECONDS if allowed else _DENIED_SECONDS)
        _keep(self._answers, question, (until, allowed))
        return allowed

    async def _ask(self, review: Awaitable[T]) -> T:
        try:
            return await review
        except (ApiError, Unreachable) as error:
            _log.warning("who uses the kubelet API cannot be reviewed", error=str(error))
            raise web.HTTPServiceUnavailable(text=f"not reviewed: {error}\n") from error


def _keep(memory: dict[Any, Any], key: Any, value: Any) -> None:
    memory.pop(key, None)
    memory[key] = value
    while len(memory) > _REMEMBERED:
        del memory[next(iter(memory))]
