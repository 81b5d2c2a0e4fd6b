"""What the status of every workload counts, and how the counts must agree."""

from __future__ import annotations

from typing import Any

from clusterip.objects.errors import ErrorList, Path, invalid


def validate_counts(
    status: Any, path: Path, parts: tuple[str, ...], ready: str = "readyReplicas"
) -> ErrorList:
    """Errors where a part of the replicas is larger than the whole.

    Args:
        status: a workload's status, with ``replicas``, ``readyReplicas`` and ``availableReplicas``.
        path: where it is.
        parts: the fields that count some of ``replicas``.
        ready: how the message for ``availableReplicas`` names the ready ones.

    Upstream: ``pkg/apis/apps/validation/validation.go``, the ``Validate…Status`` functions.
    """
    errors: ErrorList = []
    for name in parts:
        count = getattr(status, name)
        if count > status.replicas:
            errors.append(invalid(path.child(name), count, "cannot be greater than status.replicas"))
    if status.availableReplicas > status.readyReplicas:
        where = path.child("availableReplicas")
        errors.append(invalid(where, status.availableReplicas, f"cannot be greater than {ready}"))
    return errors
