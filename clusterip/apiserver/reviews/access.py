"""What somebody may do: ``kubectl auth can-i``, and webhooks that ask on behalf of their users."""

from __future__ import annotations

from clusterip.apiserver import status
from clusterip.apiserver.authn import User
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import read_options
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.authorization.reviews import (
    LOCALSUBJECTACCESSREVIEWS,
    SELFSUBJECTACCESSREVIEWS,
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
from clusterip.objects.errors import ErrorList, Path, invalid

_SPEC = Path("spec")


async def may_i(call: Call) -> SelfSubjectAccessReview:
    review = read_options(await call.body(), call.content_type, SelfSubjectAccessReview)
    resource, other = review.spec.resourceAttributes, review.spec.nonResourceAttributes
    errors = _one_of(resource, other)
    if errors:
        raise status.invalid(SELFSUBJECTACCESSREVIEWS, "", errors)
    review.status = _decide(call, call.user, resource, other)
    return review


async def may_somebody(call: Call) -> SubjectAccessReview:
    review = read_options(await call.body(), call.content_type, SubjectAccessReview)
    errors = _of_somebody(review.spec)
    if errors:
        raise status.invalid(SUBJECTACCESSREVIEWS, "", errors)
    review.status = _decide_for(call, review.spec)
    return review


async def may_somebody_here(call: Call) -> LocalSubjectAccessReview:
    review = read_options(await call.body(), call.content_type, LocalSubjectAccessReview)
    errors, namespace = _of_somebody(review.spec), call.info.namespace
    resource = review.spec.resourceAttributes
    if resource is not None and resource.namespace != namespace:
        where = _SPEC.child("resourceAttributes", "namespace")
        errors.append(invalid(where, resource.namespace, "must match metadata.namespace"))
    if review.spec.nonResourceAttributes is not None:
        where = _SPEC.child("nonResourceAttributes")
        message = "disallowed on this kind of request"
        errors.append(invalid(where, review.spec.nonResourceAttributes, message))
    if errors:
        raise status.invalid(LOCALSUBJECTACCESSREVIEWS, "", errors)
    review.metadata.namespace = namespace
    review.status = _decide_for(call, review.spec)
    return review


async def what_may_i(call: Call) -> SelfSubjectRulesReview:
    review = read_options(await call.body(), call.content_type, SelfSubjectRulesReview)
    if not review.spec.namespace:
        raise status.bad_request("no namespace on request")
    rules = call.server.authorizer.rules(call.user, review.spec.namespace)
    review.status = SubjectRulesReviewStatus(
        resourceRules=[
            ResourceRule(
                verbs=rule.verbs,
                apiGroups=rule.apiGroups,
                resources=rule.resources,
                resourceNames=rule.resourceNames,
            )
            for rule in rules
            if rule.resources
        ],
        nonResourceRules=[
            NonResourceRule(verbs=rule.verbs, nonResourceURLs=rule.nonResourceURLs)
            for rule in rules
            if rule.nonResourceURLs
        ],
    )
    return review


def _one_of(resource: ResourceAttributes | None, other: NonResourceAttributes | None) -> ErrorList:
    if resource is not None and other is not None:
        where = _SPEC.child("nonResourceAttributes")
        return [invalid(where, other, "cannot be specified in combination with resourceAttributes")]
    if resource is None and other is None:
        message = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [invalid(_SPEC.child("resourceAttributes"), None, message)]
    return []


def _of_somebody(spec: SubjectAccessReviewSpec) -> ErrorList:
    errors = _one_of(spec.resourceAttributes, spec.nonResourceAttributes)
    if not spec.user and not spec.groups:
        errors.append(invalid(_SPEC.child("user"), "", "at least one of user or group must be specified"))
    return errors


def _decide_for(call: Call, spec: SubjectAccessReviewSpec) -> SubjectAccessReviewStatus:
    user = User(spec.user, spec.uid, tuple(spec.groups), spec.extra)
    return _decide(call, user, spec.resourceAttributes, spec.nonResourceAttributes)


def _decide(
    call: Call, user: User, resource: ResourceAttributes | None, other: NonResourceAttributes | None
) -> SubjectAccessReviewStatus:
    decision = call.server.authorizer.decide(user, _as_request(resource, other))
    return SubjectAccessReviewStatus(allowed=decision.allowed, reason=decision.reason)


def _as_request(resource: ResourceAttributes | None, other: NonResourceAttributes | None) -> RequestInfo:
    """The request that is asked about, as authorization sees one."""
    if resource is None:
        return RequestInfo(other.verb, other.path, {}) if other is not None else RequestInfo("", "", {})
    info = RequestInfo(resource.verb, "", {})
    info.group, info.version, info.plural = resource.group, resource.version, resource.resource
    info.namespace, info.name, info.subresource = resource.namespace, resource.name, resource.subresource
    return info
