"""CertificateSigningRequest: a certificate that is asked for, approved and signed through the API.

As ``pkg/registry/certificates/certificates``: once asked, only ``approval`` and ``status`` change.
"""

from __future__ import annotations

from typing import Any

import msgspec

from clusterip.objects import times
from clusterip.objects.certificates.types import (
    APPROVED,
    DENIED,
    FAILED,
    GROUP,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
    has_condition,
)
from clusterip.objects.certificates.validation import (
    validate,
    validate_approval,
    validate_status,
    validate_update,
)
from clusterip.objects.codec import copy
from clusterip.objects.registry import Column, Part, Requester, Resource, register
from clusterip.objects.strategy import drop_status
from clusterip.objects.tables import AGE_COLUMN, NAME_COLUMN, NONE

__all__ = [
    "CERTIFICATESIGNINGREQUESTS",
    "CertificateSigningRequest",
    "CertificateSigningRequestCondition",
    "CertificateSigningRequestSpec",
    "CertificateSigningRequestStatus",
]


def _note_requester(request: CertificateSigningRequest, user: Requester) -> None:
    spec = request.spec
    spec.username, spec.uid, spec.groups = user.name, user.uid, list(user.groups)
    spec.extra = {key: list(values) for key, values in user.extra.items()}


def _prepare_update(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    new.spec, new.status = copy(old.spec), copy(old.status)


def _prepare_approval(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    _date_conditions(new, old)
    new.spec = copy(old.spec)
    new.status = msgspec.structs.replace(copy(old.status), conditions=new.status.conditions)


def _prepare_status(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    new.spec = copy(old.spec)
    for type_ in (APPROVED, DENIED):
        before = [condition for condition in old.status.conditions if condition.type == type_]
        places = [i for i, condition in enumerate(new.status.conditions) if condition.type == type_]
        if len(before) == len(places):  # else validation says that they may not come and go here
            for place, condition in zip(places, before, strict=True):
                new.status.conditions[place] = copy(condition)
    _date_conditions(new, old)


def _date_conditions(new: CertificateSigningRequest, old: CertificateSigningRequest) -> None:
    now = times.now()
    since = {(c.type, c.status): c.lastTransitionTime for c in reversed(old.status.conditions)}
    for condition in new.status.conditions:
        condition.lastUpdateTime = condition.lastUpdateTime or now
        if not condition.lastTransitionTime:
            condition.lastTransitionTime = since.get((condition.type, condition.status)) or now


def _row(request: CertificateSigningRequest) -> list[Any]:
    meta, spec = request.metadata, request.spec
    asked = spec.expirationSeconds
    return [
        meta.name,
        times.age(meta.creationTimestamp),
        spec.signerName or NONE,
        spec.username,
        NONE if asked is None else times.human_duration(asked),
        _condition(request),
    ]


def _condition(request: CertificateSigningRequest) -> str:
    shown = "Pending"
    if has_condition(request, DENIED):
        shown = "Denied"
    elif has_condition(request, APPROVED):
        shown = "Approved"
    if has_condition(request, FAILED):
        shown += ",Failed"
    return f"{shown},Issued" if request.status.certificate else shown


CERTIFICATESIGNINGREQUESTS = register(
    Resource(
        type=CertificateSigningRequest,
        group=GROUP,
        version="v1",
        plural="certificatesigningrequests",
        namespaced=False,
        singular="certificatesigningrequest",
        short_names=("csr",),
        status=True,
        parts={"approval": Part(_prepare_approval, validate_approval)},
        note_requester=_note_requester,
        prepare_create=drop_status(CertificateSigningRequestStatus),
        prepare_update=_prepare_update,
        prepare_status_update=_prepare_status,
        validate=validate,
        validate_update=validate_update,
        validate_status_update=validate_status,
        columns=(
            NAME_COLUMN,
            AGE_COLUMN,
            Column("SignerName", description="Who is to sign it."),
            Column("Requestor", description="Who asks."),
            Column("RequestedDuration", description="For how long it is to be good."),
            Column("Condition", description="What was decided."),
        ),
        row=_row,
        fields={"spec.signerName": lambda request: request.spec.signerName},
    )
)
