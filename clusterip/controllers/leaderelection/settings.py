"""What a candidate for the leadership can be told. Names are those of kube-controller-manager's flags."""

from __future__ import annotations

import socket
import uuid
from dataclasses import dataclass, field

JITTER = 1.2


def _identity() -> str:
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(frozen=True)
class LeaderElection:
    """Times are seconds.

    Attributes:
        lease_duration: how long the others wait for a sign of life before one takes over.
        renew_deadline: how long the leader tries to give one before it stops leading.
        retry_period: the time between two tries of anybody.
        resource_name: the Lease's name; that of upstream's controllers, so that ours wait while those lead.
        resource_namespace: its namespace.
        identity: who this candidate is, among all others.
    """

    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0
    resource_name: str = "kube-controller-manager"
    resource_namespace: str = "kube-system"
    identity: str = field(default_factory=_identity)

    def __post_init__(self) -> None:
        """Raises ValueError if the times do not fit together."""
        if self.lease_duration < 1:
            raise ValueError("--leader-elect-lease-duration must be one second or more")
        if self.retry_period <= 0:
            raise ValueError("--leader-elect-retry-period must be more than zero")
        if self.lease_duration <= self.renew_deadline:
            raise ValueError(
                "--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline"
            )
        if self.renew_deadline <= JITTER * self.retry_period:
            raise ValueError(
                f"--leader-elect-renew-deadline must be over {JITTER} times --leader-elect-retry-period"
            )
