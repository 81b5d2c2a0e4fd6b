"""Who somebody is: ``kubectl auth whoami``, and webhooks that ask whose token they were shown."""

from __future__ import annotations

from clusterip.apiserver import status
from clusterip.apiserver.authn import User
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import read_options
from clusterip.objects import times
from clusterip.objects.authentication.reviews import (
    SelfSubjectReview,
    SelfSubjectReviewStatus,
    TokenReview,
    TokenReviewStatus,
    UserInfo,
)
from clusterip.objects.meta import ObjectMeta


async def who_am_i(call: Call) -> SelfSubjectReview:
    return SelfSubjectReview(
        metadata=ObjectMeta(creationTimestamp=times.now()),
        status=SelfSubjectReviewStatus(userInfo=_described(call.user)),
    )


async def whose_token(call: Call) -> TokenReview:
    review = read_options(await call.body(), call.content_type, TokenReview)
    if not review.spec.token:
        raise status.bad_request("token is required for TokenReview in authentication")
    ours = [call.server.options.service_account_issuer]
    user = call.server.authenticator.user_of_token(review.spec.token)
    audiences = review.spec.audiences or ours
    if user is None:
        review.status = TokenReviewStatus(error="invalid bearer token")
    elif not set(audiences) & set(ours):
        wanted = " ".join(f'"{audience}"' for audience in audiences)
        error = f'token audiences ["{ours[0]}"] is invalid for the target audiences [{wanted}]'
        review.status = TokenReviewStatus(error=error)
    else:
        known = [audience for audience in audiences if audience in ours]
        review.status = TokenReviewStatus(authenticated=True, user=_described(user), audiences=known)
    return review


def _described(user: User) -> UserInfo:
    return UserInfo(username=user.name, uid=user.uid, groups=list(user.groups), extra=user.extra)
