"""Endpoints of Services that have a ClusterIP: found when somebody asks.

The specification gives such endpoints no names, but CoreDNS does: ``HOST.SERVICE.NAMESPACE.svc.DOMAIN``, and
PTR records that point there. There are very many of them, and few are ever asked for: so no records are
made in advance. The slices are at hand anyway; only where each address is has to be remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from clusterip.client.informer import Informer
from clusterip.dns import names
from clusterip.dns.records import Node, address_node, host_label, service_name
from clusterip.dns.wire import EndpointSlice

Key = tuple[str, str]
Shown = Callable[[Key], bool]
"""Whether a Service, by namespace and name, has a ClusterIP and is to be seen."""


class Endpoints:
    """Kept from an informer with an index "service"."""

    def __init__(self, slices: Informer[Any], shown: Shown, domain: bytes) -> None:
        self._slices = slices
        self._shown = shown
        self._domain = domain
        self._by_address: dict[bytes, Key | tuple[Key, ...]] = {}
        """In which slices an address is: nearly always in one."""
        slices.on_change(self._changed)

    def find(self, namespace: bytes, service: bytes, label: bytes) -> Node | None:
        """What is at ``LABEL.SERVICE.NAMESPACE.svc``, all in lower case; None: nothing."""
        key = namespace.decode("latin-1"), service.decode("latin-1")
        if not self._shown(key):
            return None
        wanted = label.decode("latin-1")
        found: dict[bytes, None] = {}
        for each in self._slices.by_index("service", key):
            for host, address in _hosts(each):
                if host.lower() == wanted:
                    found[address] = None
        return address_node(found) if found else None

    def names_at(self, address: bytes) -> tuple[bytes, ...]:
        """The names of the endpoints that have an address."""
        found: dict[bytes, None] = {}
        for key in _keys(self._by_address.get(address)):
            each = self._slices.objects.get(key)
            if each is None:
                continue
            service = each.metadata.namespace, each.metadata.labels.service
            if not self._shown(service):
                continue
            for host, packed in _hosts(each):
                if packed == address:
                    name = names.label_of(host) + service_name(service[1], service[0], self._domain)
                    found[name] = None
        return tuple(found)

    def _changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        before = {address for _, address in _hosts(old)} if old is not None else set()
        after = {address for _, address in _hosts(new)} if new is not None else set()
        metadata = (new or old).metadata  # type: ignore[union-attr]  # one of them is there
        key = metadata.namespace, metadata.name
        for address in before - after:
            left = tuple(each for each in _keys(self._by_address.get(address)) if each != key)
            if not left:
                self._by_address.pop(address, None)
            else:
                self._by_address[address] = left[0] if len(left) == 1 else left
        for address in after - before:
            there = _keys(self._by_address.get(address))
            self._by_address[address] = (*there, key) if there else key


def _keys(known: Key | tuple[Key, ...] | None) -> tuple[Key, ...]:
    if not known:
        return ()
    return known if isinstance(known[0], tuple) else (known,)


def _hosts(each: EndpointSlice) -> Iterator[tuple[str, bytes]]:
    """The names below their Service and addresses of a slice's ready endpoints."""
    if each.addressType not in ("IPv4", "IPv6"):
        return
    for endpoint in each.endpoints or ():
        if not endpoint.ready:
            continue
        for text in endpoint.addresses:
            packed = names.pack_address(text)
            if packed is not None:
                yield host_label(endpoint, text), packed
