"""Validation and warnings of the claims that each Pod of a StatefulSet gets."""

from __future__ import annotations

from clusterip.objects import quantity
from clusterip.objects.core.claims import PersistentVolumeClaim
from clusterip.objects.errors import ErrorList, Path, forbidden, invalid, not_supported, required
from clusterip.objects.resources import is_fractional

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
STORAGE = "storage"


def validate_claims(claims: list[PersistentVolumeClaim], path: Path) -> ErrorList:
    errors: ErrorList = []
    for i, claim in enumerate(claims):
        errors += _validate_spec(claim, path.item(i).child("spec"))
    return errors


def _validate_spec(claim: PersistentVolumeClaim, path: Path) -> ErrorList:
    spec, where = claim.spec, path.child("accessModes")
    errors: ErrorList = []
    if not spec.accessModes:
        errors.append(required(where, "at least 1 access mode is required"))
    errors += [not_supported(where, m, ACCESS_MODES) for m in spec.accessModes if m not in ACCESS_MODES]
    if "ReadWriteOncePod" in spec.accessModes and len(set(spec.accessModes)) > 1:
        message = "may not use ReadWriteOncePod with other access modes"
        errors.append(forbidden(where, message))
    where = path.child("resources").key(STORAGE)
    amount = spec.resources.requests.get(STORAGE)
    if amount is None:
        errors.append(required(where))
    elif quantity.parse(amount) <= 0:
        errors.append(invalid(where, str(amount), "must be greater than zero"))
    return errors


def claim_warnings(claims: list[PersistentVolumeClaim], path: Path) -> list[str]:
    """Warnings of amounts of bytes that are no whole number."""
    found: list[str] = []
    for i, claim in enumerate(claims):
        for name in ("requests", "limits"):
            amounts = getattr(claim.spec.resources, name)
            if STORAGE in amounts and is_fractional(amounts[STORAGE]):
                where = path.item(i).child("resources", name).key(STORAGE)
                found.append(
                    f'{where}: fractional byte value "{amounts[STORAGE]}" is invalid, must be an integer'
                )
    return found
