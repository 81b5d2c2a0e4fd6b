"""What a CertificateSigningRequest may be, and what may still change of it.

As ``pkg/apis/certificates/validation``.
"""

from __future__ import annotations

import base64

from clusterip.objects import names
from clusterip.objects.certificates import pkcs10
from clusterip.objects.certificates.pem import blocks
from clusterip.objects.certificates.types import (
    APPROVED,
    DENIED,
    FAILED,
    LEGACY_UNKNOWN,
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
)
from clusterip.objects.errors import (
    ErrorList,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from clusterip.objects.metadata import validate_object_meta, validate_object_meta_update

_SPEC = Path("spec")
_CONDITIONS = Path("status").child("conditions")
_CERTIFICATE = Path("status").child("certificate")

USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
"""All that a certificate can be for."""

_ONLY_TRUE = (APPROVED, DENIED, FAILED)
_LEAST_SECONDS = 600
_LONGEST_DOMAIN = 253
_LONGEST_SIGNER = _LONGEST_DOMAIN + 253 + 63 + 2


def validate(request: CertificateSigningRequest) -> ErrorList:
    """Errors of a new request."""
    errors = validate_object_meta(request.metadata, namespaced=False, name_rule=lambda _name: [])
    spec = request.spec
    try:
        if not pkcs10.is_signed(pkcs10.parse(request)):
            errors.append(invalid(_SPEC.child("request"), spec.request, "its signature is not valid"))
    except ValueError as error:
        errors.append(invalid(_SPEC.child("request"), spec.request, str(error)))
    errors += _validate_usages(spec.usages)
    if spec.signerName == LEGACY_UNKNOWN:
        why = "the legacy signerName is not allowed via this API version"
        errors.append(invalid(_SPEC.child("signerName"), spec.signerName, why))
    else:
        errors += _validate_signer_name(spec.signerName)
    if spec.expirationSeconds is not None and spec.expirationSeconds < _LEAST_SECONDS:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid(_SPEC.child("expirationSeconds"), spec.expirationSeconds, why))
    return errors + _validate_conditions(request.status.conditions) + _validate_certificate(request)


def validate_update(new: CertificateSigningRequest, old: CertificateSigningRequest) -> ErrorList:
    """Errors of a changed request: what was decided of it stays."""
    return (
        validate(new)
        + _conditions_stay(new, old)
        + _decision_stays(new, old)
        + _certificate_stays(new, old, "updates may not set certificate content")
        + validate_object_meta_update(new.metadata, old.metadata)
    )


def validate_approval(new: CertificateSigningRequest, old: CertificateSigningRequest) -> ErrorList:
    """Errors of a changed ``approval``."""
    return (
        validate(new)
        + _conditions_stay(new, old)
        + _certificate_stays(new, old, "updates may not set certificate content")
        + validate_object_meta_update(new.metadata, old.metadata)
    )


def validate_status(new: CertificateSigningRequest, old: CertificateSigningRequest) -> ErrorList:
    """Errors of a changed ``status``: a certificate is issued once."""
    errors = validate(new) + _conditions_stay(new, old) + _decision_stays(new, old)
    if old.status.certificate:
        errors += _certificate_stays(new, old, "updates may not modify existing certificate content")
    return errors + validate_object_meta_update(new.metadata, old.metadata)


def _validate_usages(usages: list[str]) -> ErrorList:
    path = _SPEC.child("usages")
    errors: ErrorList = [] if usages else [required(path)]
    for i, usage in enumerate(usages):
        if usage not in USAGES:
            errors.append(not_supported(path.item(i), usage, USAGES))
    for i, usage in enumerate(usages):
        if usage in usages[:i]:
            errors.append(duplicate(path.item(i), usage))
    return errors


def _validate_signer_name(name: str) -> ErrorList:
    path = _SPEC.child("signerName")
    if not name:
        return [required(path)]
    domain, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, why)]
    errors: ErrorList = [too_long(path, _LONGEST_DOMAIN)] if len(domain) > _LONGEST_DOMAIN else []
    labels = domain.split(".")
    for label in labels:
        if problems := names.dns_label(label):
            errors += [invalid(path, domain, f'validating label "{label}": {why}') for why in problems]
            break
    if len(labels) < 2:
        errors.append(
            invalid(path, domain, "should be a domain with at least two segments separated by dots")
        )
    for label in rest.split("."):
        if problems := names.dns_subdomain(label):
            errors += [invalid(path, rest, f'validating label "{label}": {why}') for why in problems]
            break
    if len(name) > _LONGEST_SIGNER:
        errors.append(too_long(path, _LONGEST_SIGNER))
    return errors


def _validate_conditions(conditions: list[CertificateSigningRequestCondition]) -> ErrorList:
    errors: ErrorList = []
    seen: list[str] = []
    for i, condition in enumerate(conditions):
        path = _CONDITIONS.item(i)
        if not condition.type:
            errors.append(required(path.child("type")))
        allowed = ("True",) if condition.type in _ONLY_TRUE else ("False", "True", "Unknown")
        if not condition.status:
            errors.append(required(path.child("status")))
        elif condition.status not in allowed:
            errors.append(not_supported(path.child("status"), condition.status, allowed))
        if condition.type in (APPROVED, DENIED) and {APPROVED, DENIED} <= {condition.type, *seen}:
            why = "Approved and Denied conditions are mutually exclusive"
            errors.append(invalid(_CONDITIONS, condition.type, why))
        if condition.type in seen:
            errors.append(duplicate(path.child("type"), condition.type))
        seen.append(condition.type)
    return errors


def _validate_certificate(request: CertificateSigningRequest) -> ErrorList:
    if not request.status.certificate:
        return []
    why = _certificate_problem(base64.b64decode(request.status.certificate))
    return [invalid(_CERTIFICATE, "<certificate data>", why)] if why else []


def _certificate_problem(text: bytes) -> str:
    from cryptography import x509

    found = list(blocks(text))
    for block in found:
        if block.label != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{block.label}"'
        if block.headers:
            return "no PEM block headers are permitted"
        try:
            x509.load_der_x509_certificate(block.der)
        except ValueError as error:
            return f"not a certificate: {error}"
    return "" if found else "must contain at least one CERTIFICATE PEM block"


def _of_type(request: CertificateSigningRequest, type_: str) -> list[CertificateSigningRequestCondition]:
    return [condition for condition in request.status.conditions if condition.type == type_]


def _conditions_stay(new: CertificateSigningRequest, old: CertificateSigningRequest) -> ErrorList:
    return [
        forbidden(_CONDITIONS, f'updates may not remove a condition of type "{type_}"')
        for type_ in _ONLY_TRUE
        if len(_of_type(new, type_)) < len(_of_type(old, type_))
    ]


def _decision_stays(new: CertificateSigningRequest, old: CertificateSigningRequest) -> ErrorList:
    errors: ErrorList = []
    for type_ in (APPROVED, DENIED):
        now, before = _of_type(new, type_), _of_type(old, type_)
        if len(now) > len(before):
            errors.append(forbidden(_CONDITIONS, f'updates may not add a condition of type "{type_}"'))
        elif len(now) == len(before) and now != before:
            errors.append(forbidden(_CONDITIONS, f'updates may not modify a condition of type "{type_}"'))
    return errors


def _certificate_stays(new: CertificateSigningRequest, old: CertificateSigningRequest, why: str) -> ErrorList:
    return [forbidden(_CERTIFICATE, why)] if new.status.certificate != old.status.certificate else []
