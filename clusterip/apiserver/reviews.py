"""Questions to the API server about who one is and what one may do. Nothing of them is stored.

``authentication.k8s.io/v1`` SelfSubjectReview and ``authorization.k8s.io/v1`` SelfSubjectAccessReview,
as ``kubectl auth whoami`` and ``kubectl auth can-i`` ask them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import read_options
from clusterip.apiserver.encoding import encode_any
from clusterip.apiserver.router import RequestInfo
from clusterip.objects import times
from clusterip.objects.base import Struct, always
from clusterip.objects.meta import Object, ObjectMeta


class UserInfo(Struct):
    username: str = ""
    uid: str = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}


class SelfSubjectReviewStatus(Struct):
    userInfo: UserInfo = msgspec.field(default_factory=UserInfo)


class SelfSubjectReview(Object):
    status: SelfSubjectReviewStatus = msgspec.field(default_factory=SelfSubjectReviewStatus)


class ResourceAttributes(Struct):
    namespace: str = ""
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""


class NonResourceAttributes(Struct):
    path: str = ""
    verb: str = ""


class SelfSubjectAccessReviewSpec(Struct):
    resourceAttributes: ResourceAttributes | None = None
    nonResourceAttributes: NonResourceAttributes | None = None


class SubjectAccessReviewStatus(Struct):
    allowed: bool = always(False)
    denied: bool = False
    reason: str = ""
    evaluationError: str = ""


class SelfSubjectAccessReview(Object):
    spec: SelfSubjectAccessReviewSpec = msgspec.field(default_factory=SelfSubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = msgspec.field(default_factory=SubjectAccessReviewStatus)


async def serve(call: Call) -> web.Response | None:
    """The answer to a review; None if the request is not for one."""
    info = call.info
    answer = _REVIEWS.get((info.group, info.version, info.plural))
    if answer is None or info.name or info.namespace:
        return None
    if info.verb != "create":
        raise status.method_not_allowed()
    return call.reply(encode_any(await answer(call), call.form), 201)


async def _who(call: Call) -> Any:
    user = call.user
    return SelfSubjectReview(
        kind="SelfSubjectReview",
        apiVersion="authentication.k8s.io/v1",
        metadata=_now(),
        status=SelfSubjectReviewStatus(
            userInfo=UserInfo(username=user.name, uid=user.uid, groups=list(user.groups), extra=user.extra)
        ),
    )


async def _may(call: Call) -> Any:
    review = read_options(await call.body(), call.content_type, SelfSubjectAccessReview)
    wanted = _as_request(review.spec)
    why = call.server.authorizer.reason_to_deny(call.user, wanted)
    review.kind, review.apiVersion = "SelfSubjectAccessReview", "authorization.k8s.io/v1"
    review.metadata = _now()
    review.status = SubjectAccessReviewStatus(allowed=why is None, reason=why or "")
    return review


def _as_request(spec: SelfSubjectAccessReviewSpec) -> RequestInfo:
    """The request that is asked about, as authorization sees one."""
    resource, other = spec.resourceAttributes, spec.nonResourceAttributes
    if (resource is None) == (other is None):
        raise status.failure(
            422,
            "Invalid",
            'SelfSubjectAccessReview.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid '
            "value: exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )
    if resource is None:
        assert other is not None
        return RequestInfo(other.verb, other.path, {})
    info = RequestInfo(resource.verb, "", {})
    info.group, info.version, info.plural = resource.group, resource.version, resource.resource
    info.namespace, info.name, info.subresource = resource.namespace, resource.name, resource.subresource
    return info


def _now() -> ObjectMeta:
    return ObjectMeta(creationTimestamp=times.now())


_REVIEWS: dict[tuple[str, str, str], Callable[[Call], Awaitable[Any]]] = {
    ("authentication.k8s.io", "v1", "selfsubjectreviews"): _who,
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews"): _may,
}
