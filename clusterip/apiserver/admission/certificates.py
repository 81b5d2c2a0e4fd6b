"""Who may approve and sign which requests for certificates, and what nobody may ask for.

As ``plugin/pkg/admission/certificates``: besides the rights on the subresource one needs the verb
``approve`` or ``sign`` on the request's signer.
"""

from __future__ import annotations

from typing import Literal

from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.apiserver.authn import User
from clusterip.apiserver.authz.decision import Authorizer
from clusterip.apiserver.authz.simple import MASTERS
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.certificates import CERTIFICATESIGNINGREQUESTS, pkcs10
from clusterip.objects.certificates.types import CLIENT, GROUP
from clusterip.objects.go_text import quoted


class _Signers(Plugin):
    operations = frozenset(("UPDATE",))
    resources = frozenset((CERTIFICATESIGNINGREQUESTS,))

    def __init__(self, cache: WatchCache, authorizer: Authorizer) -> None:
        super().__init__(cache)
        self._authorizer = authorizer

    def check(self, attributes: Attributes, verb: Literal["approve", "sign"]) -> None:
        # The old object's signer: the new one's is what somebody may have written.
        signer = attributes.old.spec.signerName
        if not any(self._may(attributes.user, verb, name) for name in (signer, _all_of_domain(signer))):
            why = f"user not permitted to {verb} requests with signerName {quoted(signer)}"
            raise attributes.forbidden(why)

    def _may(self, user: User, verb: str, signer: str) -> bool:
        info = RequestInfo("", "", {})
        info.verb, info.group, info.version = verb, GROUP, "*"
        info.plural, info.name = "signers", signer
        return self._authorizer.decide(user, info).allowed


class CertificateApproval(_Signers):
    name = "CertificateApproval"

    async def validate(self, attributes: Attributes) -> None:
        if attributes.subresource == "approval":
            self.check(attributes, "approve")


class CertificateSigning(_Signers):
    name = "CertificateSigning"

    async def validate(self, attributes: Attributes) -> None:
        if attributes.subresource != "status":
            return
        if attributes.obj.status != attributes.old.status:
            self.check(attributes, "sign")


class CertificateSubjectRestriction(Plugin):
    """Nobody becomes a master of the cluster by a certificate."""

    name = "CertificateSubjectRestriction"
    resources = frozenset((CERTIFICATESIGNINGREQUESTS,))

    async def validate(self, attributes: Attributes) -> None:
        request = attributes.obj
        if attributes.subresource or request.spec.signerName != CLIENT:
            return
        try:
            groups = pkcs10.organizations(pkcs10.parse(request))
        except ValueError as error:
            raise attributes.forbidden(f"failed to parse CSR: {error}") from None
        if MASTERS in groups:
            raise attributes.forbidden(f"use of {CLIENT} signer with {MASTERS} group is not allowed")


def _all_of_domain(signer: str) -> str:
    return f"{signer.partition('/')[0]}/*"
