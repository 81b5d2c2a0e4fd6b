"""Certificates that are asked for through the API (``certificates.k8s.io``)."""

from clusterip.objects.certificates.request import (
    CERTIFICATESIGNINGREQUESTS,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
    CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
)

__all__ = [
    "CERTIFICATESIGNINGREQUESTS",
    "CertificateSigningRequest",
    "CertificateSigningRequestCondition",
    "CertificateSigningRequestSpec",
    "CertificateSigningRequestStatus",
]
