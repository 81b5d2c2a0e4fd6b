"""Who somebody is: ``kubectl auth whoami``, and webhooks that ask whose token they were shown."""

from __future__ import annotations

from clusterip.apiserver import status
from clusterip.apiserver.authn import User
from clusterip.apiserver.call import Call
from clusterip.apiserver.reviews.reading import read
from clusterip.objects import times
from clusterip.objects.authentication.reviews import (
    SELFSUBJECTREVIEWS,
    TOKENREVIEWS,
    SelfSubjectReview,
    SelfSubjectReviewStatus,
    TokenReview,
    TokenReviewStatus,
    UserInfo,
)
from clusterip.objects.meta import ObjectMeta


async def who_am_i(call: Call) -> SelfSubjectReview:
    await read(call, SELFSUBJECTREVIEWS)
    return SelfSubjectReview(
        metadata=ObjectMeta(creationTimestamp=times.now()),
        status=SelfSubjectReviewStatus(userInfo=_described(call.user)),
    )


async def whose_token(call: Call) -> TokenReview:
    review = await read(call, TOKENREVIEWS)
    if not review.spec.token:
        raise status.bad_request("token is required for TokenReview in authentication")
    authenticator = call.server.authenticator
    found = authenticator.review(review.spec.token, review.spec.audiences or authenticator.audiences)
    if found.identity is None:
        review.status = TokenReviewStatus(error=found.error)
    else:
        review.status = TokenReviewStatus(
            authenticated=True,
            user=_described(found.identity.user),
            audiences=found.identity.audiences,
        )
    return review


def _described(user: User) -> UserInfo:
    return UserInfo(username=user.name, uid=user.uid, groups=list(user.groups), extra=user.extra)
