"""Feature gates: those that concern a Service proxy all have become part of Kubernetes.

A cluster's tools give every component the same list, so gates of others are fine; they do nothing here.
Upstream: ``pkg/features/kube_features.go``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from clusterip.proxy.config.errors import ConfigurationError

LOCKED = {
    "MultiCIDRServiceAllocator": True,
    "NFTablesProxyMode": True,
    "PreferSameTrafficDistribution": True,
}
"""Gates that cannot be changed any more, and what they are."""

_SPECIAL = ("AllAlpha", "AllBeta")


def check(gates: Mapping[str, bool]) -> Iterator[str]:
    """The gates that have no effect here.

    Raises:
        ConfigurationError: a gate is set to what it cannot be any more.
    """
    for name, value in gates.items():
        if LOCKED.get(name, value) != value:
            default = str(LOCKED[name]).lower()
            raise ConfigurationError(
                f"cannot set feature gate {name} to {str(value).lower()}, feature is locked to {default}"
            )
        if name not in LOCKED and name not in _SPECIAL:
            yield name


def parse(text: str) -> dict[str, bool]:
    """``A=true,B=false`` as a map.

    Raises:
        ValueError: it is not of this form.
    """
    gates = {}
    for part in text.split(","):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"malformed pair, expect string=bool, got {part!r}")
        gates[name.strip()] = parse_bool(value.strip())
    return gates


def parse_bool(text: str) -> bool:
    """Go's ``strconv.ParseBool``. Raises ValueError."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(f"{text!r} is not true or false")
