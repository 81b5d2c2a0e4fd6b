"""Approves what nodes ask for, if they may.

As ``pkg/controller/certificates/approver``.
"""

from __future__ import annotations

import msgspec

from clusterip.client.errors import ApiError
from clusterip.controllers.certificates.recognizers import RECOGNIZERS
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey
from clusterip.objects import codec, times
from clusterip.objects.authorization.reviews import (
    SUBJECTACCESSREVIEWS,
    ResourceAttributes,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
)
from clusterip.objects.certificates import (
    CERTIFICATESIGNINGREQUESTS,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    pkcs10,
)
from clusterip.objects.certificates.types import APPROVED, DENIED, GROUP, has_condition
from clusterip.objects.core.node import NODES, Node

_RETRY_SECONDS = 0.2
_LONGEST_RETRY_SECONDS = 600.0


class CertificateApprover(Controller[ObjectKey]):
    name = "certificatesigningrequest-approving-controller"
    component = "certificate-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._requests = self.informer(CERTIFICATESIGNINGREQUESTS)
        self._nodes = self.informer(NODES)
        self._requests.on_change(self._changed)
        self._nodes.on_change(self._node_changed)

    async def sync(self, key: ObjectKey) -> None:
        request = self._requests.get(*key)
        if request is None or _is_decided(request):
            return
        try:
            parsed = pkcs10.parse(request)
        except pkcs10.BadRequest as error:
            self.log.warning("cannot read a request", request=request.metadata.name, error=str(error))
            return
        nodes = list(self._nodes.objects.values())
        refused = ""
        for recognizer in RECOGNIZERS:
            if not recognizer.recognize(request, parsed, nodes):
                continue
            if await self._may(request, recognizer.subresource):
                await self._approve(request, recognizer.message)
                return
            refused = recognizer.subresource
        if refused:
            # Roles may be given to it later, or have just been.
            seconds = _retry_seconds(request)
            self.queue.add_after(key, seconds)
            self.log.info(
                "not approved: its requestor may not ask for such",
                request=request.metadata.name,
                requestor=request.spec.username,
                subresource=refused,
                retry_seconds=seconds,
            )

    async def _may(self, request: CertificateSigningRequest, subresource: str) -> bool:
        spec = request.spec
        review = SubjectAccessReview(
            kind=SUBJECTACCESSREVIEWS.kind,
            apiVersion=SUBJECTACCESSREVIEWS.api_version,
            spec=SubjectAccessReviewSpec(
                user=spec.username,
                uid=spec.uid,
                groups=spec.groups,
                extra=spec.extra,
                resourceAttributes=ResourceAttributes(
                    group=GROUP,
                    resource="certificatesigningrequests",
                    verb="create",
                    subresource=subresource,
                ),
            ),
        )
        answer = await self.client.request("POST", SUBJECTACCESSREVIEWS.path(), body=codec.encode(review))
        return codec.decode(answer, SubjectAccessReview).status.allowed

    async def _approve(self, request: CertificateSigningRequest, message: str) -> None:
        condition = CertificateSigningRequestCondition(
            type=APPROVED, status="True", reason="AutoApproved", message=message
        )
        status = msgspec.structs.replace(request.status, conditions=[*request.status.conditions, condition])
        try:
            await self.client.update_subresource(msgspec.structs.replace(request, status=status), "approval")
        except ApiError as error:
            if not error.is_not_found:
                raise
        self.log.info("approved", request=request.metadata.name, requestor=request.spec.username)

    def _changed(self, old: CertificateSigningRequest | None, new: CertificateSigningRequest | None) -> None:
        if new is not None and not _is_decided(new):
            self.queue.add(("", new.metadata.name))

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        """Addresses decide on what a node may serve as; they may come later than its request."""
        if new is None or (old is not None and old.status.addresses == new.status.addresses):
            return
        for request in self._requests.objects.values():
            self._changed(None, request)


def _retry_seconds(request: CertificateSigningRequest) -> float:
    """As long again as it has been waiting."""
    created = request.metadata.creationTimestamp
    return min(max(times.seconds_since(created) if created else 0.0, _RETRY_SECONDS), _LONGEST_RETRY_SECONDS)


def _is_decided(request: CertificateSigningRequest) -> bool:
    if request.status.certificate:
        return True
    return has_condition(request, APPROVED) or has_condition(request, DENIED)
