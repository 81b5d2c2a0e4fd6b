"""Following which API servers there are: the endpoints of ``default/kubernetes``."""

from __future__ import annotations

from collections.abc import Callable

from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES, EndpointSlice

_SERVICE = "kubernetes.io/service-name=kubernetes"


class Servers:
    """Calls ``changed`` with all API servers whenever they are others than before."""

    def __init__(self, client: Client, changed: Callable[[list[tuple[str, int]]], None]) -> None:
        self._slices: Informer[EndpointSlice] = Informer(
            client, ENDPOINTSLICES, namespace="default", label_selector=_SERVICE
        )
        self._changed = changed
        self._known: list[tuple[str, int]] = []
        self._slices.on_batch(self._look)

    async def run(self) -> None:
        await self._slices.run()

    def _look(self) -> None:
        found = sorted(
            (address, port.port)
            for each in self._slices.objects.values()
            for port in each.ports
            for endpoint in each.endpoints
            for address in endpoint.addresses
            if port.port and endpoint.conditions.ready is not False
        )
        if found and found != self._known:
            self._known = found
            self._changed(found)
