"""When a node has too little of something: ``--eviction-hard``, as ``memory.available<100Mi,...``.

As upstream's ``pkg/kubelet/eviction/helpers.go``. A soft threshold counts once it was met for a while.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clusterip.objects import quantity

DEFAULT = "memory.available<100Mi,nodefs.available<5%,nodefs.inodesFree<5%,imagefs.available<5%"
"""Upstream's, but for disks what small distributions have: a machine may be nearly full of other things."""

RESOURCES = {
    "memory.available": "memory",
    "nodefs.available": "ephemeral-storage",
    "nodefs.inodesFree": "inodes",
    "imagefs.available": "ephemeral-storage",
    "imagefs.inodesFree": "inodes",
    "pid.available": "pids",
}
"""Each signal, and what there is too little of by it."""

CONDITIONS = {"memory": "MemoryPressure", "pids": "PIDPressure"}


class InvalidThreshold(ValueError):
    """A text that is no threshold."""


@dataclass(frozen=True)
class Observed:
    """What there is of something, and what of it is free: bytes, inodes or PIDs."""

    capacity: int
    available: int


@dataclass(frozen=True)
class Threshold:
    """``signal<text``; ``part`` is of the capacity, where that is how it is written.

    ``patience``: for how many seconds it is met before Pods have to go; None: it is a hard one, and they go
    at once.
    """

    signal: str
    text: str
    amount: int = 0
    part: float = 0.0
    patience: float | None = None

    @property
    def resource(self) -> str:
        return RESOURCES[self.signal]

    @property
    def condition(self) -> str:
        """The condition of the Node that says so."""
        return CONDITIONS.get(self.resource, "DiskPressure")

    def quantity(self, observed: Observed) -> int:
        """The least that is enough."""
        return int(observed.capacity * self.part) if self.part else self.amount

    def is_met(self, observed: Observed) -> bool:
        """Whether less is left. What has no capacity, as inodes on some file systems, is never short."""
        return observed.capacity > 0 and observed.available < self.quantity(observed)


def parse(text: str) -> tuple[Threshold, ...]:
    """The thresholds of a comma-separated list.

    Raises:
        InvalidThreshold: it is none; the message says why.
    """
    found = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        signal, less, value = each.partition("<")
        if not less or signal not in RESOURCES:
            known = ", ".join(RESOURCES)
            raise InvalidThreshold(
                f"{each!r} is no threshold such as nodefs.available<5%, of one of: {known}"
            )
        if signal in found:
            raise InvalidThreshold(f"two thresholds of {signal}")
        found[signal] = _threshold(signal, value)
    return tuple(found.values())


def soften(hard: tuple[Threshold, ...], patience: Mapping[str, float]) -> tuple[Threshold, ...]:
    """The same as soft ones, with seconds for each signal.

    Raises:
        InvalidThreshold: one has none.
    """
    for each in hard:
        if each.signal not in patience:
            raise InvalidThreshold(
                f"grace period must be specified for the soft eviction threshold {each.signal}"
            )
    return tuple(dataclasses.replace(each, patience=patience[each.signal]) for each in hard)


class Patience:
    """Since when each threshold is met."""

    def __init__(self) -> None:
        self._since: dict[Threshold, float] = {}

    def over(self, met: Iterable[Threshold], now: float) -> set[Threshold]:
        """Those of the thresholds that are met now by which Pods have to go; hard ones always are."""
        self._since = {each: self._since.get(each, now) for each in met}
        return {each for each, since in self._since.items() if now - since >= (each.patience or 0.0)}


def _threshold(signal: str, value: str) -> Threshold:
    try:
        if value.endswith("%"):
            part = float(value[:-1]) / 100
            if not 0 <= part <= 1:
                raise ValueError(value)
            return Threshold(signal, value, part=part)
        amount = quantity.whole(value)
    except ValueError as error:
        raise InvalidThreshold(f"{value!r} of {signal} is neither an amount nor a percentage") from error
    if amount < 0:
        raise InvalidThreshold(f"{value!r} of {signal} is less than nothing")
    return Threshold(signal, value, amount=amount)
