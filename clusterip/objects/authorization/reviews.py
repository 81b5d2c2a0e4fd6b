"""Questions about what somebody may do (``authorization.k8s.io/v1``). They are answered, never stored."""

from __future__ import annotations

import msgspec

from clusterip.objects.base import Struct, always, always_list
from clusterip.objects.meta import LabelSelectorRequirement, Object
from clusterip.objects.registry import Resource, register_virtual

GROUP = "authorization.k8s.io"


class FieldSelectorRequirement(Struct):
    key: str = ""
    operator: str = ""
    values: list[str] = []


class FieldSelectorAttributes(Struct):
    rawSelector: str = ""
    requirements: list[FieldSelectorRequirement] = []


class LabelSelectorAttributes(Struct):
    rawSelector: str = ""
    requirements: list[LabelSelectorRequirement] = []


class NonResourceAttributes(Struct):
    path: str = ""
    verb: str = ""


class ResourceAttributes(Struct):
    namespace: str = ""
    verb: str = ""
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    fieldSelector: FieldSelectorAttributes | None = None
    labelSelector: LabelSelectorAttributes | None = None


class SubjectAccessReviewSpec(Struct):
    resourceAttributes: ResourceAttributes | None = None
    nonResourceAttributes: NonResourceAttributes | None = None
    user: str = ""
    groups: list[str] = []
    extra: dict[str, list[str]] = {}
    uid: str = ""


class SubjectAccessReviewStatus(Struct):
    allowed: bool = always(False)
    denied: bool = False
    reason: str = ""
    evaluationError: str = ""


class LocalSubjectAccessReview(Object):
    spec: SubjectAccessReviewSpec = msgspec.field(default_factory=SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = msgspec.field(default_factory=SubjectAccessReviewStatus)


class NonResourceRule(Struct):
    verbs: list[str] = always_list()
    nonResourceURLs: list[str] = []


class ResourceRule(Struct):
    verbs: list[str] = always_list()
    apiGroups: list[str] = []
    resources: list[str] = []
    resourceNames: list[str] = []


class SelfSubjectAccessReviewSpec(Struct):
    resourceAttributes: ResourceAttributes | None = None
    nonResourceAttributes: NonResourceAttributes | None = None


class SelfSubjectAccessReview(Object):
    spec: SelfSubjectAccessReviewSpec = msgspec.field(default_factory=SelfSubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = msgspec.field(default_factory=SubjectAccessReviewStatus)


class SelfSubjectRulesReviewSpec(Struct):
    namespace: str = ""


class SubjectRulesReviewStatus(Struct):
    resourceRules: list[ResourceRule] = always_list()
    nonResourceRules: list[NonResourceRule] = always_list()
    incomplete: bool = always(False)
    evaluationError: str = ""


class SelfSubjectRulesReview(Object):
    spec: SelfSubjectRulesReviewSpec = msgspec.field(default_factory=SelfSubjectRulesReviewSpec)
    status: SubjectRulesReviewStatus = msgspec.field(default_factory=SubjectRulesReviewStatus)


class SubjectAccessReview(Object):
    spec: SubjectAccessReviewSpec = msgspec.field(default_factory=SubjectAccessReviewSpec)
    status: SubjectAccessReviewStatus = msgspec.field(default_factory=SubjectAccessReviewStatus)


LOCALSUBJECTACCESSREVIEWS = register_virtual(
    Resource(
        type=LocalSubjectAccessReview,
        group=GROUP,
        version="v1",
        plural="localsubjectaccessreviews",
        namespaced=True,
        singular="localsubjectaccessreview",
    )
)
SELFSUBJECTACCESSREVIEWS = register_virtual(
    Resource(
        type=SelfSubjectAccessReview,
        group=GROUP,
        version="v1",
        plural="selfsubjectaccessreviews",
        namespaced=False,
        singular="selfsubjectaccessreview",
    )
)
SELFSUBJECTRULESREVIEWS = register_virtual(
    Resource(
        type=SelfSubjectRulesReview,
        group=GROUP,
        version="v1",
        plural="selfsubjectrulesreviews",
        namespaced=False,
        singular="selfsubjectrulesreview",
    )
)
SUBJECTACCESSREVIEWS = register_virtual(
    Resource(
        type=SubjectAccessReview,
        group=GROUP,
        version="v1",
        plural="subjectaccessreviews",
        namespaced=False,
        singular="subjectaccessreview",
    )
)
