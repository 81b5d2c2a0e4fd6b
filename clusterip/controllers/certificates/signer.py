"""Signs approved requests with the cluster's CA.

As ``pkg/controller/certificates/signer``, for upstream's four signers at once.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from clusterip.client.errors import ApiError
from clusterip.controllers.certificates.authority import Authority
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey
from clusterip.objects.certificates import (
    CERTIFICATESIGNINGREQUESTS,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    pkcs10,
)
from clusterip.objects.certificates.types import (
    APPROVED,
    CLIENT,
    DENIED,
    FAILED,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    LEGACY_UNKNOWN,
    has_condition,
)

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequest as Parsed

_PROBLEMS: dict[str, Callable[[Parsed, Iterable[str]], str]] = {
    CLIENT: lambda _parsed, usages: pkcs10.client_problem(usages),
    KUBELET_CLIENT: pkcs10.kubelet_client_problem,
    KUBELET_SERVING: pkcs10.kubelet_serving_problem,
    LEGACY_UNKNOWN: lambda _parsed, _usages: "",
}
"""What each signer would refuse, though it was approved."""


class CertificateSigner(Controller[ObjectKey]):
    name = "certificatesigningrequest-signing-controller"
    component = "certificate-controller"
    workers = 1

    def __init__(self, context: Context, authority: Authority) -> None:
        super().__init__(context)
        self._authority = authority
        self._requests = self.informer(CERTIFICATESIGNINGREQUESTS)
        self._requests.on_change(self._changed)

    async def sync(self, key: ObjectKey) -> None:
        request = self._requests.get(*key)
        if request is None or not _is_due(request):
            return
        spec = request.spec
        try:
            parsed = pkcs10.parse(request)
            problem = _PROBLEMS[spec.signerName](parsed, spec.usages)
            certificate = b"" if problem else self._sign(request, parsed)
        except ValueError as error:
            problem, certificate = str(error), b""
        status = request.status
        if problem:
            failed = CertificateSigningRequestCondition(
                type=FAILED, status="True", reason="SignerValidationFailure", message=problem
            )
            status = msgspec.structs.replace(status, conditions=[*status.conditions, failed])
        else:
            status = msgspec.structs.replace(status, certificate=base64.b64encode(certificate).decode())
        try:
            await self.client.update_status(msgspec.structs.replace(request, status=status))
        except ApiError as error:
            if not error.is_not_found:
                raise
        self.log.info(
            "refused" if problem else "signed",
            request=request.metadata.name,
            signer=spec.signerName,
            why=problem or "approved",
        )

    def _sign(self, request: CertificateSigningRequest, parsed: Parsed) -> bytes:
        return self._authority.sign(parsed, request.spec.usages, request.spec.expirationSeconds)

    def _changed(self, old: CertificateSigningRequest | None, new: CertificateSigningRequest | None) -> None:
        if new is not None and _is_due(new):
            self.queue.add(("", new.metadata.name))


def _is_due(request: CertificateSigningRequest) -> bool:
    return (
        request.spec.signerName in _PROBLEMS
        and not request.status.certificate
        and has_condition(request, APPROVED)
        and not has_condition(request, DENIED)
        and not has_condition(request, FAILED)
    )
