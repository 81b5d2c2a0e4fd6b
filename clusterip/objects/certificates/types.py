"""The parts of a CertificateSigningRequest, and the names that upstream gives special meaning."""

from __future__ import annotations

from typing import Annotated

import msgspec

from clusterip.objects.base import Atomic, ListMap, Struct, always
from clusterip.objects.enums import KeyUsage, RequestConditionType
from clusterip.objects.meta import Object
from clusterip.objects.scalars import Base64, ConditionStatus, Int32, Time

GROUP = "certificates.k8s.io"

APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown"


class CertificateSigningRequestCondition(Struct):
    type: RequestConditionType = always("")
    status: ConditionStatus = always("")
    reason: str = ""
    message: str = ""
    lastUpdateTime: Time | None = always(None)
    lastTransitionTime: Time | None = always(None)


class CertificateSigningRequestSpec(Struct):
    """``request`` is a PEM block of PKCS #10. Who asks is written down by the API server."""

    request: Base64 = always("")
    signerName: str = always("")
    expirationSeconds: Int32 | None = None
    usages: Annotated[list[KeyUsage], Atomic()] = []
    username: str = ""
    uid: str = ""
    groups: Annotated[list[str], Atomic()] = []
    extra: dict[str, list[str]] = {}


class CertificateSigningRequestStatus(Struct):
    """``certificate`` is a chain of PEM blocks, the certificate asked for first."""

    conditions: Annotated[list[CertificateSigningRequestCondition], ListMap(("type",))] = []
    certificate: Base64 = ""


class CertificateSigningRequest(Object):
    """A certificate that somebody asks for, somebody else approves and a third one signs."""

    spec: CertificateSigningRequestSpec = msgspec.field(default_factory=CertificateSigningRequestSpec)
    status: CertificateSigningRequestStatus = msgspec.field(default_factory=CertificateSigningRequestStatus)


def has_condition(request: CertificateSigningRequest, type_: str) -> bool:
    """Whether it is ``Approved``, ``Denied`` or ``Failed``, which are never anything but true."""
    return any(condition.type == type_ for condition in request.status.conditions)
