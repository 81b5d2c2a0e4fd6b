"""The HTTP server: every request comes through ``ApiServer.handle``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from clusterip.apiserver import documents, reviews, router, status, verbs
from clusterip.apiserver.authn import ANONYMOUS, Authenticator, User
from clusterip.apiserver.authz import PUBLIC, Authorizer
from clusterip.apiserver.authz.decision import refusal
from clusterip.apiserver.authz.matching import object_name
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.call import BODY_LIMIT, Call, compress
from clusterip.apiserver.discovery import verbs as verbs_of
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.impersonation import Impersonation
from clusterip.apiserver.metrics import Metrics
from clusterip.apiserver.openid import OpenId
from clusterip.apiserver.options import Options
from clusterip.apiserver.router import RequestInfo
from clusterip.apiserver.watch import watch
from clusterip.objects.names import path_segment
from clusterip.objects.registry import Resource
from clusterip.process import log
from clusterip.process.health import HealthServer
from clusterip.storage.store import Closed, Unavailable
from clusterip.ui import assets

Handler = Callable[[Call, Resource[Any]], Awaitable[web.StreamResponse]]

_VERBS: Mapping[str, Handler] = {
    "get": verbs.get,
    "list": verbs.list_,
    "watch": watch,
    "create": verbs.create,
    "update": verbs.update,
    "patch": verbs.patch,
    "delete": verbs.delete,
    "deletecollection": verbs.delete_collection,
}
_OF_COLLECTIONS = frozenset(("list", "create", "deletecollection"))
_log = log.get("apiserver")


class ApiServer:
    """Answers requests. ``subresources`` are handlers by plural and subresource."""

    def __init__(
        self,
        options: Options,
        cache: WatchCache,
        objects: Objects,
        authenticator: Authenticator,
        authorizer: Authorizer,
        health: HealthServer,
        subresources: Mapping[tuple[str, str], Handler],
    ) -> None:
        self.options = options
        self.cache = cache
        self.objects = objects
        self.health = health
        self.metrics = Metrics(cache)
        self.authenticator = authenticator
        self.authorizer = authorizer
        self.openid: OpenId | None = None
        self._impersonation = Impersonation(authorizer)
        self._subresources = subresources
        self._lost: dict[RequestHandler, Callable[[], None]] = {}

    def close(self) -> None:
        self.metrics.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong becomes a ``Status``."""
        if assets.is_ours(request.path):
            return _page(request)
        began = time.perf_counter()
        info = router.parse(request.method, request.raw_path)
        call = Call(self, request, info, ANONYMOUS)
        in_flight, kind = self.metrics.in_flight, self.metrics.kind_of(info)
        if kind:
            in_flight[kind] += 1
        try:
            call.user = self._admit(request, info)
            response = await self._dispatch(call)
            await compress(request, response)
        except status.StatusError as error:
            response = call.reply_status(error.status, error.headers)
        except (Closed, Unavailable) as error:
            response = call.reply_status(status.unavailable(str(error)).status)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the outermost frame of a request: log it and say so
            _log.exception("request failed", method=info.method, path=info.path)
            response = call.reply_status(status.internal(f"{type(error).__name__}: {error}").status)
        finally:
            if kind:
                in_flight[kind] -= 1
        self.metrics.observe(info, response.status, time.perf_counter() - began)
        return response

    def _admit(self, request: web.BaseRequest, info: RequestInfo) -> User:
        user = self.authenticator.authenticate(request)
        if user is None:
            raise status.unauthorized()
        if user is ANONYMOUS and not self.authenticator.anonymous:
            if not _is_public(info.path):
                raise status.unauthorized()
            return user
        user = self._impersonation.user_of(request, user, info)
        decision = self.authorizer.decide(user, info)
        if not decision.allowed:
            why = refusal(user, info, decision.reason)
            raise status.forbidden_request(info.group, info.plural, object_name(info), why)
        return user

    async def _dispatch(self, call: Call) -> web.StreamResponse:
        info = call.info
        if not info.plural:
            return documents.serve(call)
        resource = info.resource
        if resource is None:
            return await reviews.serve(call) or documents.unknown(call)
        if info.method == "HEAD" and not info.subresource:
            raise status.method_not_allowed()
        if info.name and (problems := path_segment(info.name)):
            raise status.bad_request(f'Name parameter invalid: "{info.name}": {"; ".join(problems)}')
        if info.subresource:
            return await self._subresource(call, resource)
        handler = _VERBS.get(info.verb)
        fits = info.verb == "watch" or bool(info.name) != (info.verb in _OF_COLLECTIONS)
        if handler is None or not fits or info.verb not in _verbs_of(resource):
            raise status.method_not_allowed()
        if info.namespace and not resource.namespaced and info.namespace != info.name:
            raise status.no_such_path()
        if resource.namespaced and info.name and not info.namespace:
            raise status.no_such_path()
        return await handler(call, resource)

    async def _subresource(self, call: Call, resource: Resource[Any]) -> web.StreamResponse:
        info = call.info
        handler = self._subresources.get((info.plural, info.subresource))
        whole = resource.status if info.subresource == "status" else info.subresource in resource.parts
        if handler is None and whole and not info.rest:
            handler = _VERBS.get(info.verb) if info.verb in ("get", "update", "patch") else None
            if handler is None:
                raise status.method_not_allowed()
        if handler is None and info.subresource == "scale" and resource.scale is not None:
            handler = self._subresources.get(("*", "scale"))
        if handler is None:
            raise status.no_such_path()
        return await handler(call, resource)

    def on_lost(self, request: web.BaseRequest, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when the request's connection is lost."""
        self._lost[request.protocol] = callback

    def forget_lost(self, request: web.BaseRequest) -> None:
        self._lost.pop(request.protocol, None)

    def connection_lost(self, connection: RequestHandler) -> None:
        callback = self._lost.get(connection)
        if callback is not None:
            callback()


class _Request(web.BaseRequest):
    """A request whose answer does not name the program that gives it, as kube-apiserver's do not."""

    async def _prepare_hook(self, resp: web.StreamResponse) -> None:
        if resp.headers.get("Server") == SERVER_SOFTWARE:  # else it is that of a server behind a proxy
            del resp.headers["Server"]


class HttpServer(web.Server):
    """aiohttp's low-level server: no routes, no middlewares, no access log."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__(
            api.handle,
            request_factory=self._request,
            access_log=None,
            max_line_size=64 * 1024,
            max_field_size=64 * 1024,
            lingering_time=1.0,
        )
        self._api = api

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._api.connection_lost(handler)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return _Request(message, payload, protocol, writer, task, self._loop, client_max_size=BODY_LIMIT)


def _page(request: web.BaseRequest) -> web.Response:
    """A file of the dashboard. Anybody may have it: what it shows, it asks for as its viewer."""
    found = assets.answer(request.method, request.path, request.headers.get("If-None-Match", ""))
    return web.Response(status=found.status, headers=dict(found.headers), body=found.body)


@cache
def _verbs_of(resource: Resource[Any]) -> frozenset[str]:
    return frozenset(verbs_of(resource))


def _is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith(("/livez/", "/readyz/", "/healthz/"))
