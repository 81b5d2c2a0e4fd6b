"""Removes requests for certificates that nobody needs any more.

As ``pkg/controller/certificates/cleaner``, but at the moment when the time of each is over.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from clusterip.client.errors import ApiError
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller, ObjectKey
from clusterip.objects import times
from clusterip.objects.certificates import CERTIFICATESIGNINGREQUESTS, CertificateSigningRequest
from clusterip.objects.certificates.types import APPROVED, DENIED, FAILED

_DECIDED_SECONDS = 3600.0
_PENDING_SECONDS = 24 * 3600.0


class CertificateCleaner(Controller[ObjectKey]):
    name = "certificatesigningrequest-cleaner-controller"
    component = "certificate-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._requests = self.informer(CERTIFICATESIGNINGREQUESTS)
        self._requests.on_change(self._changed)

    async def sync(self, key: ObjectKey) -> None:
        request = self._requests.get(*key)
        seconds = seconds_left(request, datetime.now(UTC)) if request is not None else None
        if request is None or seconds is None:
            return
        if seconds > 0:
            self.queue.add_after(key, seconds)
            return
        meta = request.metadata
        try:
            await self.client.delete(CertificateSigningRequest, meta.name, uid=meta.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise
        self.log.info("old request deleted", request=meta.name)

    def _changed(self, old: CertificateSigningRequest | None, new: CertificateSigningRequest | None) -> None:
        if new is not None:
            self.queue.add(("", new.metadata.name))


def seconds_left(request: CertificateSigningRequest, now: datetime) -> float | None:
    """For how long a request stays, 0 or less if it is to go; None: there is no telling."""
    ends: list[float] = []
    issued = bool(request.status.certificate)
    for condition in request.status.conditions:
        if not condition.lastUpdateTime:
            continue
        age = (now - times.parse(condition.lastUpdateTime)).total_seconds()
        if condition.type in (DENIED, FAILED):
            ends.append(_DECIDED_SECONDS - age)
        elif condition.type == APPROVED:
            ends.append((_DECIDED_SECONDS if issued else _PENDING_SECONDS) - age)
            if issued and (end := _expiry(request)) is not None:
                ends.append((end - now).total_seconds())
    created = request.metadata.creationTimestamp
    if not request.status.conditions and created:
        ends.append(_PENDING_SECONDS - (now - times.parse(created)).total_seconds())
    return min(ends, default=None)


def _expiry(request: CertificateSigningRequest) -> datetime | None:
    from cryptography import x509

    try:
        pem = base64.b64decode(request.status.certificate)
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError:
        return None
