"""How far a rollout may go above and below the wanted number of Pods."""

from __future__ import annotations

from clusterip.controllers.scaled import scaled
from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.base import IntOrString


def replicas_of(deployment: Deployment) -> int:
    return deployment.spec.replicas if deployment.spec.replicas is not None else 1


def is_rolling(deployment: Deployment) -> bool:
    return deployment.spec.strategy.type in ("RollingUpdate", "")


def max_surge(deployment: Deployment) -> int:
    """How many Pods more than wanted there may be."""
    return _limits(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Deployment) -> int:
    """How many of the wanted Pods may be missing."""
    replicas = replicas_of(deployment)
    if not is_rolling(deployment) or replicas == 0:
        return 0
    return min(_limits(deployment)[1], replicas)


def _limits(deployment: Deployment) -> tuple[int, int]:
    rolling = deployment.spec.strategy.rollingUpdate
    replicas = replicas_of(deployment)
    surge = _scaled(rolling.maxSurge if rolling else None, replicas, up=True)
    unavailable = _scaled(rolling.maxUnavailable if rolling else None, replicas, up=False)
    # Both may be rounded down to nothing, and then the rollout could never begin.
    return (0, 1) if surge == 0 and unavailable == 0 else (surge, unavailable)


def _scaled(value: IntOrString | None, total: int, *, up: bool) -> int:
    """Unset means 25 %, as by default."""
    return scaled(value if value is not None else "25%", total, up=up)
