"""What somebody may do: ``kubectl auth can-i``, and webhooks that ask on behalf of their users."""

from __future__ import annotations

from clusterip.apiserver import status
from clusterip.apiserver.authn import User
from clusterip.apiserver.call import Call
from clusterip.apiserver.reviews.reading import invalid, read
from clusterip.apiserver.reviews.selectors import evaluation_error, field_selector
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.authorization.reviews import (
    LOCALSUBJECTACCESSREVIEWS,
    SELFSUBJECTACCESSREVIEWS,
    SELFSUBJECTRULESREVIEWS,
    SUBJECTACCESSREVIEWS,
    LocalSubjectAccessReview,
    NonResourceAttributes,
    NonResourceRule,
    ResourceAttributes,
    ResourceRule,
    SelfSubjectAccessReview,
    SelfSubjectRulesReview,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
    SubjectAccessReviewStatus,
    SubjectRulesReviewStatus,
)
from clusterip.objects.authorization.validation import (
    validate_local_review,
    validate_review,
    validate_self_review,
)


async def may_i(call: Call) -> SelfSubjectAccessReview:
    review = await read(call, SELFSUBJECTACCESSREVIEWS)
    errors = validate_self_review(review)
    if errors:
        raise invalid(SELFSUBJECTACCESSREVIEWS, errors)
    spec = review.spec
    review.status = _decide(call, call.user, spec.resourceAttributes, spec.nonResourceAttributes)
    return review


async def may_somebody(call: Call) -> SubjectAccessReview:
    review = await read(call, SUBJECTACCESSREVIEWS)
    errors = validate_review(review)
    if errors:
        raise invalid(SUBJECTACCESSREVIEWS, errors)
    review.status = _decide_for(call, review.spec)
    return review


async def may_somebody_here(call: Call) -> LocalSubjectAccessReview:
    review = await read(call, LOCALSUBJECTACCESSREVIEWS)
    if review.metadata.namespace not in ("", call.info.namespace):
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    review.metadata.namespace = call.info.namespace
    errors = validate_local_review(review)
    if errors:
        raise invalid(LOCALSUBJECTACCESSREVIEWS, errors)
    review.status = _decide_for(call, review.spec)
    return review


async def what_may_i(call: Call) -> SelfSubjectRulesReview:
    review = await read(call, SELFSUBJECTRULESREVIEWS)
    if not review.spec.namespace:
        raise status.bad_request("no namespace on request")
    found = call.server.authorizer.rules(call.user, review.spec.namespace)
    answer = SubjectRulesReviewStatus(
        resourceRules=[
            ResourceRule(
                verbs=rule.verbs,
                apiGroups=rule.apiGroups,
                resources=rule.resources,
                resourceNames=rule.resourceNames,
            )
            for rule in found.rules
            if rule.resources
        ],
        nonResourceRules=[
            NonResourceRule(verbs=rule.verbs, nonResourceURLs=rule.nonResourceURLs)
            for rule in found.rules
            if rule.nonResourceURLs
        ],
        incomplete=found.incomplete,
        evaluationError=found.errors[0] if len(found.errors) == 1 else _listed(found.errors),
    )
    return SelfSubjectRulesReview(status=answer)


def _listed(errors: list[str]) -> str:
    return f"[{', '.join(errors)}]" if errors else ""


def _decide_for(call: Call, spec: SubjectAccessReviewSpec) -> SubjectAccessReviewStatus:
    user = User(spec.user, spec.uid, tuple(spec.groups), spec.extra)
    return _decide(call, user, spec.resourceAttributes, spec.nonResourceAttributes)


def _decide(
    call: Call, user: User, resource: ResourceAttributes | None, other: NonResourceAttributes | None
) -> SubjectAccessReviewStatus:
    decision = call.server.authorizer.decide(user, _as_request(resource, other))
    return SubjectAccessReviewStatus(
        allowed=decision.allowed,
        reason=decision.reason,
        evaluationError=evaluation_error(resource) if resource is not None else "",
    )


def _as_request(resource: ResourceAttributes | None, other: NonResourceAttributes | None) -> RequestInfo:
    """The request that is asked about, as authorization sees one."""
    if resource is None:
        return RequestInfo(other.verb, other.path, {}) if other is not None else RequestInfo("", "", {})
    info = RequestInfo(resource.verb, "", {})
    info.group, info.version, info.plural = resource.group, resource.version or "*", resource.resource
    info.namespace, info.name, info.subresource = resource.namespace, resource.name, resource.subresource
    if resource.fieldSelector is not None:
        info.query = {"fieldSelector": field_selector(resource.fieldSelector)[0]}
    return info
