"""``/services`` on the proxy's metrics port: what this node's kernel does for each Service.

For ``clusterip top``, dashboards and people. The answer is JSON, :class:`NodeServices`. Through the API
server: ``/api/v1/nodes/NODE:10249/proxy/services``.

Parameters: ``namespace`` and ``name`` for some Services only, ``all`` for all there are. Without any, those
that had connections since counting began, or a change since the proxy's start. ``traffic=false`` leaves the
kernel alone: then ``open``, ``connections`` and bytes are 0. ``rules=true``: with the rules, elements or
virtual servers of each Service, the first 500.

``connections``, ``sent`` and ``received`` count up from the first question (``since``) until nobody has asked
for a minute and a half; two answers make a rate. If ``since`` is another one than before, counting began
anew.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

import msgspec

from clusterip.process.health import Page
from clusterip.proxy import metrics
from clusterip.proxy.model import Destination, PortState, ServiceKey, show_destination
from clusterip.proxy.programming import Programming
from clusterip.proxy.sync import Sync
from clusterip.proxy.traffic import Count, Look, Traffic

_PROTOCOLS = {6: "TCP", 17: "UDP", 132: "SCTP"}
_NO_TRAFFIC = "false"
_MOST_RULES = 500


class EndpointTraffic(msgspec.Struct):
    """Connections from this node to an endpoint (``ADDRESS:PORT``).

    ``chosen``: this node sends new connections there. ``open``: connections now; ``connections``: begun since
    counting began; ``sent`` and ``received``: bytes of the clients' packets, and of the answers.
    """

    address: str
    chosen: bool = False
    open: int = 0
    connections: int = 0
    sent: int = 0
    received: int = 0


class PortServices(msgspec.Struct):
    """A Service port of one family (``IPv4``, ``IPv6``). The sums of ``endpoints``, as these count.

    ``chosen``: how many endpoints this node sends to; ``exist``: there are usable ones, maybe for other nodes
    only.
    """

    name: str
    protocol: str
    family: str
    clusterIP: str
    port: int
    nodePort: int = 0
    chosen: int = 0
    exist: bool = False
    open: int = 0
    connections: int = 0
    sent: int = 0
    received: int = 0
    endpoints: list[EndpointTraffic] = []


class OneService(msgspec.Struct):
    """A Service. ``programmed``: the kernel has all that is known of it.

    ``changed``: when (seconds since 1970) its last change was written; 0: before this proxy began.
    ``latency``: how long (seconds) that took, from its arrival at the proxy until the kernel had it.
    ``rules``: what the kernel was given for it, if they were asked for.
    """

    namespace: str
    name: str
    programmed: bool = False
    changed: float = 0.0
    latency: float = 0.0
    rules: list[str] = []
    ports: list[PortServices] = []


class NodeServices(msgspec.Struct):
    """What ``/services`` answers.

    ``time``, ``since``, ``lastWritten``: seconds since 1970; now, when counting began, when the kernel was
    last written to. ``accounting``: ``on`` if the kernel counts bytes of its own, ``since`` if it does so
    only since counting began (connections from before stay at 0 bytes), else why it does not; empty without
    traffic. ``tracked``: connections that were looked through, which took ``seconds``. ``failing``: why the
    kernel has not what is wanted; ``refused``: the parts that it refuses; ``repairs``: how often others'
    changes were put right.
    """

    node: str
    mode: str
    time: float
    since: float = 0.0
    accounting: str = ""
    tracked: int = 0
    seconds: float = 0.0
    synced: bool = False
    lastWritten: float = 0.0
    failing: str = ""
    refused: list[str] = []
    repairs: int = 0
    services: list[OneService] = []


class ServicesPage:
    """Answers ``/services``."""

    def __init__(self, mode: str, sync: Sync, programming: Programming, traffic: Traffic) -> None:
        self._mode = mode
        self._sync = sync
        self._tracker = sync.tracker
        self._programming = programming
        self._traffic = traffic

    async def answer(self, query: dict[str, list[str]]) -> Page:
        look = None
        if query.get("traffic") != [_NO_TRAFFIC]:
            try:
                look = await self._traffic.look()
            except OSError as error:
                return Page(500, f"cannot read connection tracking: {error.strerror or error}\n".encode())
        sync = self._sync
        answer = NodeServices(
            self._tracker.node_name,
            self._mode,
            time.time(),
            synced=sync.synced.is_set(),
            lastWritten=sync.last_written,
            failing=sync.failing,
            refused=[f"{refusal.subject}: {refusal.reason}" for refusal in sync.refused],
            repairs=sync.repairs,
        )
        if look is not None:
            answer.since, answer.accounting = look.since, look.accounting
            answer.tracked, answer.seconds = look.tracked, look.seconds
        with_rules = query.get("rules") == ["true"]
        answer.services = [self._service(key, look, with_rules) for key in self._chosen(query, look)]
        return Page(200, msgspec.json.encode(answer), "application/json")

    def _rules(self, states: Iterable[PortState]) -> list[str]:
        lines = itertools.chain.from_iterable(self._sync.backend.describe(state.port.key) for state in states)
        return list(itertools.islice(lines, _MOST_RULES))

    def _chosen(self, query: dict[str, list[str]], look: Look | None) -> Iterable[ServiceKey]:
        namespace, name = (query.get(field, [""])[0] for field in ("namespace", "name"))
        if namespace and name:
            key = ServiceKey(namespace, name)
            return [key] if self._tracker.states_of(key) else []
        if namespace or name or "all" in query:
            return [
                key
                for key in self._tracker.services()
                if namespace in ("", key.namespace) and name in ("", key.name)
            ]
        found = dict.fromkeys(self._programming.services())
        if look is not None:
            found |= dict.fromkeys(key.service for key in look.counts)
        return [key for key in found if self._tracker.states_of(key)]

    def _service(self, key: ServiceKey, look: Look | None, with_rules: bool) -> OneService:
        sync = self._sync
        states = self._tracker.states_of(key)
        changed, latency = self._programming.of(key)
        return OneService(
            *key,
            programmed=sync.synced.is_set() and not sync.failing and not self._tracker.is_pending(key),
            changed=changed,
            latency=latency,
            rules=self._rules(states) if with_rules else [],
            ports=[_port(state, look) for state in states],
        )


def _port(state: PortState, look: Look | None) -> PortServices:
    port, choice, _ = state
    chosen = dict.fromkeys((*choice.cluster, *choice.local))
    counts: dict[Destination, Count] = look.counts.get(port.key, {}) if look is not None else {}
    return PortServices(
        name=port.key.port,
        protocol=_PROTOCOLS[port.key.protocol],
        family=metrics.label_of(port.key.family),
        clusterIP=show_destination(port.cluster_ip + bytes(4)).rpartition(":")[0].strip("[]"),
        port=port.port,
        nodePort=port.node_port,
        chosen=len(chosen),
        exist=choice.exist,
        open=sum(count.open for count in counts.values()),
        connections=sum(count.connections for count in counts.values()),
        sent=sum(count.sent for count in counts.values()),
        received=sum(count.received for count in counts.values()),
        endpoints=[
            _endpoint(each, each in chosen, counts.get(each)) for each in dict.fromkeys((*chosen, *counts))
        ],
    )


def _endpoint(destination: Destination, chosen: bool, count: Count | None) -> EndpointTraffic:
    shown = EndpointTraffic(show_destination(destination), chosen)
    if count is not None:
        shown.open, shown.connections = count.open, count.connections
        shown.sent, shown.received = count.sent, count.received
    return shown
