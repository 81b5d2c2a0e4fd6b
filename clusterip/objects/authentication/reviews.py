"""Questions about who somebody is (``authentication.k8s.io/v1``). They are answered, never stored."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Struct
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource, register_virtual

GROUP = "authentication.k8s.io"


class UserInfo(Struct):
    """A user as authentication knows one."""

    username: str = ""
    uid: str = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}


class SelfSubjectReviewStatus(Struct):
    userInfo: UserInfo = msgspec.field(default_factory=UserInfo)


class SelfSubjectReview(Object):
    """Who am I?"""

    status: SelfSubjectReviewStatus = msgspec.field(default_factory=SelfSubjectReviewStatus)


class TokenReviewSpec(Struct):
    token: str = ""
    audiences: list[str] = []


class TokenReviewStatus(Struct):
    authenticated: bool = False
    user: UserInfo = msgspec.field(default_factory=UserInfo)
    audiences: list[str] = []
    error: str = ""


class TokenReview(Object):
    """Whose token is this?"""

    spec: TokenReviewSpec = msgspec.field(default_factory=TokenReviewSpec)
    status: TokenReviewStatus = msgspec.field(default_factory=TokenReviewStatus)


SELFSUBJECTREVIEWS = register_virtual(
    Resource(
        type=SelfSubjectReview,
        group=GROUP,
        version="v1",
        plural="selfsubjectreviews",
        namespaced=False,
        singular="selfsubjectreview",
    )
)
TOKENREVIEWS = register_virtual(
    Resource(
        type=TokenReview,
        group=GROUP,
        version="v1",
        plural="tokenreviews",
        namespaced=False,
        singular="tokenreview",
    )
)
