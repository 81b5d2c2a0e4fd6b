"""Node ports: each is a key of its own, created and deleted with the Service that has it.

A number is taken for all protocols at once, as upstream does it; the ports of one Service may share it.
"""

from __future__ import annotations

from clusterip.apiserver.allocation.addresses import AllocationError
from clusterip.apiserver.allocation.ranges import port_range
from clusterip.apiserver.cache import PREFIX, WatchCache
from clusterip.apiserver.transaction import Transaction
from clusterip.objects.codec import encode
from clusterip.objects.core.service import Service

_KEY = "nodeports/"
_PRETENDED = 32768
"""The first node port that a dry run is given."""


class PortAllocator:
    """Takes node ports for Services and gives them back."""

    def __init__(self, cache: WatchCache, first: int, last: int) -> None:
        self._cache = cache
        self._range = port_range(first, last)
        self._reserved: set[int] = set()

    def allocate(self, service: Service, wanted: int, transaction: Transaction) -> int:
        """Take ``wanted``, or any port if it is 0.

        Raises:
            AllocationError: it is taken or outside the range, or there is none left.
        """
        if transaction.dry_run:
            return self._pretend(wanted, transaction)
        if wanted:
            if wanted not in self._range:
                valid = f"{self._range.first}-{self._range.last}"
                raise AllocationError(
                    f"provided port is not in the valid range. The range of valid ports is {valid}"
                )
            if not self._is_free(wanted):
                raise AllocationError("provided port is already allocated")
        else:
            wanted = self._range.pick(self._is_free) or 0
            if not wanted:
                raise AllocationError("range is full", full=True)
        port = wanted
        self._reserved.add(port)
        transaction.on_end(lambda: self._reserved.discard(port))
        meta = service.metadata
        owner = {"namespace": meta.namespace, "name": meta.name}
        transaction.create(f"{PREFIX}{_KEY}{port}", encode(owner))
        return port

    def _pretend(self, wanted: int, transaction: Transaction) -> int:
        """What a dry run gets: any port that nobody has, in the range or not, as upstream."""
        if wanted and not self._is_free(wanted):
            raise AllocationError("provided port is already allocated")
        taken = transaction.pretended
        port = wanted or max(taken, default=_PRETENDED - 1) + 1
        taken.append(port)
        return port

    def release(self, port: int, transaction: Transaction) -> None:
        revision = self._cache.extra.get(f"{_KEY}{port}")
        if revision is not None and not transaction.dry_run:
            transaction.delete(f"{PREFIX}{_KEY}{port}", revision)

    def _is_free(self, port: int) -> bool:
        return port not in self._reserved and f"{_KEY}{port}" not in self._cache.extra
