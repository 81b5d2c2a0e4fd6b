"""Resources that are sent and answered but never stored: reviews, and Bindings as a resource."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.encoding import encode_any
from clusterip.apiserver.reviews import access, identity
from clusterip.apiserver.subresources.pods import bind
from clusterip.objects.authentication.reviews import SELFSUBJECTREVIEWS, TOKENREVIEWS
from clusterip.objects.authorization.reviews import (
    LOCALSUBJECTACCESSREVIEWS,
    SELFSUBJECTACCESSREVIEWS,
    SELFSUBJECTRULESREVIEWS,
    SUBJECTACCESSREVIEWS,
)
from clusterip.objects.core.binding import BINDINGS
from clusterip.objects.core.pod import PODS
from clusterip.objects.registry import Resource, find_virtual

_ANSWERS: dict[Resource[Any], Callable[[Call], Awaitable[Any]]] = {
    SELFSUBJECTREVIEWS: identity.who_am_i,
    TOKENREVIEWS: identity.whose_token,
    LOCALSUBJECTACCESSREVIEWS: access.may_somebody_here,
    SELFSUBJECTACCESSREVIEWS: access.may_i,
    SELFSUBJECTRULESREVIEWS: access.what_may_i,
    SUBJECTACCESSREVIEWS: access.may_somebody,
}


async def serve(call: Call) -> web.StreamResponse | None:
    """The answer to what is never stored; None if the request is not for such a resource."""
    info = call.info
    resource = find_virtual(info.group, info.version, info.plural)
    if resource is None:
        return None
    if info.name or bool(info.namespace) != resource.namespaced:
        raise status.no_such_path()
    if info.verb != "create":
        raise status.method_not_allowed()
    if resource is BINDINGS:
        return await bind(call, PODS)
    answer = await _ANSWERS[resource](call)
    answer.kind, answer.apiVersion = resource.kind, resource.api_version
    return call.reply(encode_any(answer, call.form), 201)
