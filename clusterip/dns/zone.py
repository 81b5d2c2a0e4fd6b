"""The cluster's names: what exists, what records it has, who put it there.

A name exists if something was put at it or below it; whether an answer is NXDOMAIN or merely empty
(NODATA) follows from that (RFC 8020, RFC 2308).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from clusterip.dns import names
from clusterip.dns.message import NS, SOA, SRV, Record
from clusterip.dns.records import Node, Records, pod_node, version_node
from clusterip.dns.steps import STEP, Steps, done

if TYPE_CHECKING:
    from clusterip.dns.endpoints import Endpoints

_EMPTY: Node = {}
_ZONE_LABEL = b"\x05_zone"
_TRANSFER_PART = 100
_VERSION_TTL = 28800  # as in the specification's example, and CoreDNS


class Zone:
    """The records of a cluster domain and of the addresses in it.

    ``changed`` is called after each change with the names whose answers may differ from before.
    """

    def __init__(self, domain: str, ttl: int) -> None:
        """Raises BadName if ``domain`` is no domain name."""
        self.domain = names.to_wire(domain)
        self.ttl = ttl
        self.synced = False
        """Whether everything has been put in once; before, absence means nothing."""
        self.changed: Callable[[Iterable[bytes]], None] = lambda _names: None
        self.pods: Callable[[bytes, bytes], Node | None] = lambda _namespace, label: pod_node(label)
        """What is at ``1-2-3-4.NAMESPACE.pod.DOMAIN``, by namespace and first label; None: nothing."""
        self.endpoints: Endpoints | None = None
        """Those of Services with a ClusterIP, which are looked up."""
        self.pods_vary = False
        """What ``pods`` says of the same name may be another thing later."""
        self._nodes: dict[bytes, Node] = {}
        self._children: dict[bytes, int] = {}
        self._zonal: dict[bytes, dict[bytes, Node]] | None = None
        """Of headless Services: what is in each topology zone; None: there are no such names."""
        self._reverse: dict[bytes, list[tuple[Hashable, bytes]]] = {}
        self._owned: dict[Hashable, Records] = {}
        self._pod = names.label_of("pod") + self.domain
        self._services = names.label_of("svc") + self.domain
        self._server = names.to_wire("ns.dns")[:-1] + self.domain
        self._version = names.label_of("dns-version") + self.domain
        self._hostmaster = names.label_of("hostmaster") + self.domain
        self._serial = int(time.time())
        self._put(self.domain, {NS: (self._server,)})
        self._put(self._pod, _EMPTY)
        self._put(self._services, _EMPTY)
        self._put(self._version, version_node())

    def enable_zonal_names(self) -> None:
        """Let ``TOPOLOGY-ZONE.pin._zone.SERVICE...`` and ``...prefer...`` stand for endpoints there."""
        self._zonal = {}

    def covers(self, name: bytes) -> bool:
        """Whether ``name`` (lower case) is in the cluster domain."""
        return name.endswith(self.domain) and names.is_below(name, self.domain)

    def find(self, name: bytes) -> Node | None:
        """What is at a name of the cluster domain: nothing but its existence (empty), or None."""
        node = self._nodes.get(name)
        if node is not None:
            return node
        if name in self._children:
            return _EMPTY
        namespace = names.parent(name)
        if namespace in self._nodes and names.parent(namespace) == self._pod:
            return self.pods(namespace[1 : 1 + namespace[0]], name[1 : 1 + name[0]])
        if self.endpoints is not None and namespace in self._nodes:  # it is a Service rather
            above = names.parent(namespace)
            if names.parent(above) == self._services:
                label, service, space = (each[1 : 1 + each[0]] for each in (name, namespace, above))
                return self.endpoints.find(space, service, label)
        return None if self._zonal is None else self._find_zonal(name)

    def _find_zonal(self, name: bytes) -> Node | None:
        """As CoreDNS's option ``zonal`` has it (``plugin/kubernetes/README.md``).

        ``pin`` is about the endpoints in the zone alone, of which there may be none; ``prefer`` is about
        all of them then.
        """
        assert self._zonal is not None
        front, anchor, service = name.partition(_ZONE_LABEL)
        places = self._zonal.get(service)
        if not anchor or places is None:
            return None
        *place, directive = names.labels(front + b"\0")
        if not place or directive not in (b"pin", b"prefer"):
            return None
        node = places.get(b".".join(place), _EMPTY)
        return self._nodes.get(service, _EMPTY) if not node and directive == b"prefer" else node

    def announces(self, name: bytes) -> bool:
        """Whether ``changed`` will tell when what is at a name changes: not of Pods that are looked up."""
        if name in self._nodes or name in self._children:
            return True
        return not self.pods_vary and name.endswith(self._pod)

    def ttl_of(self, name: bytes) -> int:
        """Seconds for which what is at a name may be remembered."""
        return _VERSION_TTL if name == self._version else self.ttl

    def find_reverse(self, name: bytes) -> tuple[bytes, ...]:
        """The names that a name below ``in-addr.arpa`` or ``ip6.arpa`` points to."""
        return tuple(dict.fromkeys(target for _, target in self._reverse.get(name, ())))

    def find_endpoints(self, name: bytes) -> tuple[bytes, ...]:
        """The same for addresses of endpoints that are looked up; ``changed`` does not tell of them."""
        address = names.address_of(name) if self.endpoints is not None else None
        return self.endpoints.names_at(address) if self.endpoints and address is not None else ()

    @property
    def serial(self) -> int:
        """The version of the zone, which its SOA record tells."""
        return self._serial & 0xFFFFFFFF

    def soa(self) -> Record:
        """The zone's SOA record: what says how long a name's absence may be remembered."""
        numbers = struct.pack("!5I", self.serial, 7200, 1800, 86400, self.ttl)
        return Record(self.domain, SOA, self.ttl, self._server + self._hostmaster + numbers)

    def transfer(self) -> Iterator[list[Record]]:
        """All records as a transfer has them: between two times the SOA record, some at a time.

        They are those of this moment, however long it takes to go through them.
        """
        soa = self.soa()
        nodes = list(self._nodes.items())

        def parts() -> Iterator[list[Record]]:
            part = [soa]
            for name, node in nodes:
                ttl = self.ttl_of(name)
                for type_, data in node.items():
                    part += [Record(name, type_, ttl, each) for each in data]
                if len(part) >= _TRANSFER_PART:
                    yield part
                    part = []
            yield [*part, soa]

        return parts()

    def put(self, owner: Hashable, records: Records) -> None:
        """Let ``owner`` have exactly ``records``; empty ones end its presence."""
        done(self.put_in_steps(owner, records))

    def put_in_steps(self, owner: Hashable, records: Records) -> Steps[None]:
        """As ``put``, with pauses in which names may be asked; no other ``put`` of the owner meanwhile."""
        old = self._owned.get(owner)
        if old is None and not records.nodes and not records.zonal:
            return
        before = old if old is not None else Records()
        touched = before.nodes.keys() - records.nodes.keys()
        for count, name in enumerate(list(touched)):
            if count % STEP == STEP - 1:
                yield
            self._drop(name)
        moved = bool(touched)
        for count, (name, node) in enumerate(records.nodes.items()):
            if count % STEP == STEP - 1:
                yield
            if before.nodes.get(name) != node or name not in self._nodes:
                self._put(name, node)
                touched.add(name)
                moved = True
        if moved:
            # SRV answers come with their targets' addresses.
            touched.update(name for name, node in records.nodes.items() if SRV in node)
        yield
        earlier, later = dict.fromkeys(before.reverse), dict.fromkeys(records.reverse)
        yield
        for count, (name, target) in enumerate(earlier.keys() - later.keys()):
            if count % STEP == STEP - 1:
                yield
            self._drop_reverse(name, owner, target)
            touched.add(name)
        for count, (name, target) in enumerate(later.keys() - earlier.keys()):
            if count % STEP == STEP - 1:
                yield
            self._reverse.setdefault(name, []).append((owner, target))
            touched.add(name)
        if self._zonal is not None:
            for name in before.zonal:
                self._zonal.pop(name, None)
            self._zonal |= records.zonal
            touched.update(name for name in records.zonal if before.zonal.get(name) != records.zonal[name])
        if records.nodes or records.zonal:
            self._owned[owner] = records
        else:
            self._owned.pop(owner, None)
        if touched:
            self._serial = max(self._serial, int(time.time()))
            self.changed(touched)

    def put_namespace(self, namespace: str, exists: bool) -> None:
        """Let a namespace exist, also without Services, or not. Raises BadName."""
        label = names.label_of(namespace)
        touched = [label + self._services, label + self._pod]
        for name in touched:
            if exists:
                self._put(name, _EMPTY)
            else:
                self._drop(name)
        self.changed(touched)

    def put_server_addresses(self, node: Node) -> None:
        """The addresses of ``ns.dns.DOMAIN``, which the SOA and NS records name; empty for none."""
        self.put("name server", Records({self._server: node} if node else {}))

    def __len__(self) -> int:
        return len(self._owned)

    def _put(self, name: bytes, node: Node) -> None:
        known = name in self._nodes or name in self._children
        self._nodes[name] = node
        # Count children upwards until a name that existed already.
        while not known and name != self.domain:
            above = names.parent(name)
            count = self._children.get(above, 0)
            self._children[above] = count + 1
            known = count > 0 or above in self._nodes
            name = above

    def _drop(self, name: bytes) -> None:
        if self._nodes.pop(name, None) is None:
            return
        while name not in self._nodes and name not in self._children and name != self.domain:
            name = names.parent(name)
            self._children[name] -= 1
            if not self._children[name]:
                del self._children[name]

    def _drop_reverse(self, name: bytes, owner: Hashable, target: bytes) -> None:
        left = [entry for entry in self._reverse[name] if entry != (owner, target)]
        if left:
            self._reverse[name] = left
        else:
            del self._reverse[name]
