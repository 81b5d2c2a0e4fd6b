"""How long changes of a Service's Pods are collected before its endpoints are written.

Everybody who watches receives each slice that is written: when a thousand Pods become ready one after the
other, a write for each would send every node a hundred endpoints a thousand times. Upstream has a period for
it (``endpointslice_controller.go``, ``endpointUpdatesBatchPeriod``), which is none unless somebody sets it.
"""

from __future__ import annotations

from clusterip.controllers.controller import ObjectKey

_NONE, _FULL = 100, 1000
"""With so many Pods a Service (of one slice) never waits; with so many it waits for the full period."""

PERIOD_SECONDS = 0.5


class Batching:
    """The seconds from a Pod's change to the write that answers it and all that came meanwhile.

    A ``period`` that is given holds for every Service; by default large ones alone wait, the longer the
    larger they are: a write costs more there, and one of many endpoints matters less.
    """

    def __init__(self, period: float | None = None) -> None:
        self._period = period
        self._pods: dict[ObjectKey, int] = {}

    def counted(self, key: ObjectKey, pods: int) -> None:
        """Remember how many Pods a Service has."""
        if pods > _NONE:
            self._pods[key] = pods
        else:
            self._pods.pop(key, None)

    def seconds(self, key: ObjectKey) -> float:
        """How long the next write for a Service waits, from the first change that it answers."""
        if self._period is not None:
            return self._period
        return PERIOD_SECONDS * min(self._pods.get(key, 0), _FULL) / _FULL
