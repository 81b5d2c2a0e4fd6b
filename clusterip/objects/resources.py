"""Resource lists (``cpu``, ``memory`` and so on): their canonical form and their validation."""

from __future__ import annotations

from functools import lru_cache

from clusterip.objects import names, quantity
from clusterip.objects.base import Quantity
from clusterip.objects.errors import ErrorList, Path, invalid, invalid_each
from clusterip.objects.rules import valid_quantity

STANDARD = frozenset(("cpu", "memory", "ephemeral-storage", "storage", "pods"))

_OF_CONTAINERS = frozenset(("cpu", "memory", "ephemeral-storage"))
_HUGE_PAGES = "hugepages-"
_COUNTED = frozenset(
    ("pods", "services", "secrets", "configmaps", "resourcequotas", "replicationcontrollers")
)


def canonicalize(resources: dict[str, Quantity]) -> None:
    """Write each amount as the API server stores it. What is no amount is left for validation."""
    for name, value in resources.items():
        resources[name] = canonical_or_same(value)


def canonical_or_same(value: Quantity) -> Quantity:
    canonical = _canonical(str(value))
    return value if canonical is None else canonical


@lru_cache(maxsize=1024)
def _canonical(text: str) -> str | None:
    try:
        return quantity.canonical(text)
    except ValueError:
        return None


def is_native(name: str) -> bool:
    """Whether the resource is Kubernetes' own, as opposed to an extended one of a device plugin."""
    return "/" not in name or "kubernetes.io/" in name


def is_fractional(value: Quantity) -> bool:
    """Whether an amount is no whole number, or too large to be counted in thousandths, as upstream does."""
    try:
        milli = quantity.milli(value)
    except ValueError:
        return False
    return milli % 1000 != 0 or milli >= 2**63


def validate_amount(name: str, value: Quantity, path: Path) -> ErrorList:
    """Errors of an amount: not negative, and whole where only whole ones can be."""
    errors = valid_quantity(path, value)
    if not errors and (name in _COUNTED or not is_native(name)) and quantity.milli(value) % 1000:
        errors.append(invalid(path, str(value), "must be an integer"))
    return errors


def validate_container_resource_name(name: str, path: Path) -> ErrorList:
    """Errors of the name of something that a container asks for."""
    errors = invalid_each(path, name, names.label_key(name))
    if "/" in name:
        return errors
    if not errors and name not in STANDARD and not name.startswith(_HUGE_PAGES):
        errors.append(invalid(path, name, "must be a standard resource type or fully qualified"))
    if name not in _OF_CONTAINERS and not name.startswith(_HUGE_PAGES):
        errors.append(invalid(path, name, "must be a standard resource for containers"))
    return errors
