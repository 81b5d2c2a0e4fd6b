"""Which Pods there are, by address: for ``pods verified``, and to know who asks (``autopath``)."""

from __future__ import annotations

from clusterip.client.informer import Informer
from clusterip.dns import names
from clusterip.dns.records import Node, pod_node
from clusterip.dns.wire import Pod


class Pods:
    """The addresses of all Pods, kept from an informer.

    ``namespaces``: the only ones that count; empty: all.
    """

    def __init__(self, informer: Informer[Pod], namespaces: frozenset[str] = frozenset()) -> None:
        self._by_address: dict[bytes, dict[tuple[str, str], Pod]] = {}
        self._namespaces = namespaces
        informer.on_change(self._changed)

    def find(self, namespace: bytes, label: bytes) -> Node | None:
        """What is at ``1-2-3-4.NAMESPACE.pod.DOMAIN``: nothing unless a Pod there has the address."""
        node = pod_node(label)
        if node is None:
            return None
        (address,) = next(iter(node.values()))
        wanted = namespace.decode("latin-1")
        found = any(key[0] == wanted for key in self._by_address.get(address, ()))
        return node if found else None

    def at(self, address: str) -> Pod | None:
        """The Pod that has an address of its own, as text; None if there is none."""
        packed = names.pack_address(address.removeprefix("::ffff:") if "." in address else address)
        for pod in self._by_address.get(packed or b"", {}).values():
            if not pod.spec.hostNetwork:
                return pod
        return None

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        for address in self._addresses(old):
            assert old is not None
            there = self._by_address.get(address, {})
            there.pop((old.metadata.namespace, old.metadata.name), None)
            if not there:
                self._by_address.pop(address, None)
        for address in self._addresses(new):
            assert new is not None
            there = self._by_address.setdefault(address, {})
            there[new.metadata.namespace, new.metadata.name] = new

    def _addresses(self, pod: Pod | None) -> list[bytes]:
        if pod is None or (self._namespaces and pod.metadata.namespace not in self._namespaces):
            return []
        return [packed for text in pod.addresses if (packed := names.pack_address(text)) is not None]
