"""Follows one connection: asks, computes what should happen, makes it happen, and tells what did."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import random
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clusterip.kernel import tracked
from clusterip.kernel.namespaces import run_in
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.tracked import Tracked
from clusterip.proxy.explain.service import Row
from clusterip.trace import resolving
from clusterip.trace.diagnosis import is_ready, unmended
from clusterip.trace.expectation import Expectation, node_of
from clusterip.trace.listeners import Listener, listeners
from clusterip.trace.machine import Found, Machine, resolv_conf
from clusterip.trace.objects import (
    Elsewhere,
    Objects,
    Sources,
    TraceError,
    addresses_of,
    as_configuration,
    events_of,
    gather,
    selects,
)
from clusterip.trace.payload import payload
from clusterip.trace.places import Spot, Spots, spots
from clusterip.trace.recorder import WATCHED_MARKS
from clusterip.trace.request import Client, Request
from clusterip.trace.running import Asked, ProbeError, Running
from clusterip.trace.story import Story, join
from clusterip.trace.telling import Evidence, tell
from clusterip.trace.watching import Watched, ipvs_entry, watch

_PROTOCOLS = {"TCP": 6, "UDP": 17, "SCTP": 132}
_DNS_SECONDS = 2.0
_PAGE_SECONDS = 2.0
_CONFIGURATION = "http://127.0.0.1:10249/configz"
_UNREADY_PODS = 8
"""Of how many Pods that are not ready the events are asked for."""


async def follow(
    request: Request, sources: Sources, namespace: str, nodes: Mapping[str, Path] | None = None
) -> Story:
    """Trace a request from this machine.

    Args:
        namespace: that of names without one, for clients that are no Pods.
        nodes: network namespaces of nodes, where they are known better than by their addresses.
    Raises:
        TraceError, ApiError, Unreachable.
    """
    objects = await gather(request, sources, namespace)
    try:
        evidence = await asyncio.to_thread(_observe, request, objects, nodes or {})
    except PermissionError as error:
        text = f"a trace needs the rights of root on the machine of the client's node: {error}"
        raise Elsewhere(text, _client_node(objects, request.client)) from error
    except ProbeError as error:
        raise TraceError(str(error)) from error
    if evidence.connection is None or not evidence.connection.is_reached:
        service = objects.aim.service
        pods = [p for p in objects.pods if service is not None and selects(service, p) and not is_ready(p)]
        evidence.events.update(objects.events)
        for pod in pods[:_UNREADY_PODS]:
            if pod.metadata.name not in evidence.events:
                evidence.events[pod.metadata.name] = await events_of(sources.client, pod)
    return tell(request, objects, evidence)


def _observe(request: Request, objects: Objects, nodes: Mapping[str, Path]) -> Evidence:
    machine = Machine(nodes)
    if not objects.config:
        objects.config = _asked_here(objects, request.client, machine)
    expectation = Expectation(objects)
    where = spots(objects, request.client, expectation.known, machine)
    evidence = Evidence(expectation, where, time.monotonic())
    aim = objects.aim
    evidence.address, evidence.number = aim.address, aim.number
    evidence.version = _version(objects)
    assert where.client.found is not None
    with Running(where.client.found) as running, contextlib.ExitStack() as cleanup:
        running.wait()
        if not unmended(objects):
            _watch(evidence, aim.protocol, cleanup)
        evidence.begun = time.monotonic()
        if aim.is_name:
            _resolve(request, objects, running, where, evidence)
        if evidence.address and not unmended(objects):
            _connect(request, objects, running, evidence)
    return evidence


def _version(objects: Objects) -> int:
    """Of IP: the address's own, or the one that the Service has first."""
    aim = objects.aim
    if aim.address:
        return ipaddress.ip_address(aim.address).version
    return 6 if aim.service is not None and aim.service.spec.ipFamilies[:1] == ["IPv6"] else 4


def _client_node(objects: Objects, client: Client) -> str:
    """The name of the node that the connection begins on; empty for a client outside."""
    return objects.client_pod.spec.nodeName if objects.client_pod else client.name


def _asked_here(objects: Objects, client: Client, machine: Machine) -> dict[str, Any]:
    """A proxy's configuration from where it shows it to its own node; empty if there is none.

    kube-proxy shows it on the loopback address only, which no API server reaches.
    """
    first = _client_node(objects, client)
    for node in sorted(objects.nodes, key=lambda node: node.metadata.name != first):
        found = machine.node(node.metadata.name, addresses_of(node))
        if found is not None:
            with contextlib.suppress(OSError, ValueError, KeyError):
                return as_configuration(run_in(found.path, _local_page))
    return {}


def _local_page() -> bytes:
    with urllib.request.urlopen(_CONFIGURATION, timeout=_PAGE_SECONDS) as answer:
        page: bytes = answer.read()
        return page


def _resolve(request: Request, objects: Objects, running: Running, where: Spots, evidence: Evidence) -> None:
    assert where.client.found is not None
    pod = objects.client_pod
    text = resolv_conf(where.client.found, pod.metadata.uid if pod else "")
    if text is None:
        evidence.notes.append("the client's /etc/resolv.conf cannot be seen: none of its processes is here")
        text = _assumed_resolv_conf(objects)
    resolver = resolving.read_resolv_conf(text)
    evidence.resolver = resolver
    seen_at = where.node or where.client

    def lookup(name: str, version: int, servers: list[str]) -> list[Asked]:
        tried = running.lookup(name, version, servers, _DNS_SECONDS)
        for each in tried:
            evidence.servers[id(each)] = _server_behind(each, seen_at.found)
        return tried

    evidence.asked, evidence.address = resolving.ask(resolver, request.target, evidence.version, lookup)


def _assumed_resolv_conf(objects: Objects) -> str:
    """What a kubelet writes for ``dnsPolicy: ClusterFirst`` where the domain is ``cluster.local``."""
    namespace = objects.client_pod.metadata.namespace if objects.client_pod else "default"
    names = ("kube-dns", "coredns", "rke2-coredns-rke2-coredns")
    servers = [
        each.spec.clusterIP
        for each in objects.services
        if each.metadata.namespace == "kube-system" and each.metadata.name in names
    ]
    lines = [f"nameserver {each}" for each in servers]
    lines += [f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local", "options ndots:5"]
    return "\n".join(lines)


def _server_behind(asked: Asked, found: Found | None) -> str:
    """``address:port`` of the server that a question went to in the end, as far as it can be seen."""
    if asked.remote is not None and asked.remote != (asked.server, 53):
        return f"{asked.remote[0]}:{asked.remote[1]}"
    if found is None or not asked.local[1]:
        return ""
    question = tracked.Tuple(17, asked.local[0], asked.local[1], asked.server, 53)
    entry = _entry(found, question)
    return f"{entry.reply.source}:{entry.reply.source_port}" if entry else ""


def _entry(found: Found, original: tracked.Tuple) -> Tracked | None:
    with contextlib.suppress(NetlinkError, OSError):
        return run_in(found.path, lambda: tracked.find(original))
    return None


def _watch(evidence: Evidence, protocol: str, cleanup: contextlib.ExitStack) -> None:
    """Begin to record wherever the connection may pass; ``cleanup`` ends it."""
    mark = evidence.mark = random.Random(os.getpid()).choice(WATCHED_MARKS)
    known = evidence.expectation.known
    ports = {evidence.number, *(int(address.rpartition(":")[2]) for address in known)}
    for spot in _to_watch(evidence.spots):
        assert spot.found is not None
        number = _PROTOCOLS[protocol]
        made = watch(spot.place, spot.found, evidence.version, number, ports, mark)
        evidence.watched[spot.place.id] = made
        if made.recorder is not None:
            cleanup.callback(made.recorder.close)


def _connect(request: Request, objects: Objects, running: Running, evidence: Evidence) -> None:
    """Make the connection and read, while it is open, what it left in the kernel."""
    protocol = objects.aim.protocol
    running.open(evidence.version, protocol, evidence.mark)
    recorders = [each.recorder for each in evidence.watched.values() if each.recorder]

    def read() -> None:
        for recorder in recorders:
            recorder.read()

    evidence.connection = running.connect(
        evidence.address,
        evidence.number,
        payload(request.target, protocol, evidence.number),
        request.seconds,
        [each.socket for each in recorders],
        read,
    )
    read()
    _entries(evidence, _PROTOCOLS[protocol])
    evidence.entry = _entry_node(evidence)
    evidence.chosen = _chosen(evidence)
    evidence.listening = _listening(evidence, protocol)
    evidence.row = _row(request, objects, evidence)
    if evidence.entry is not None and evidence.entry.found is not None:
        number = _PROTOCOLS[protocol]
        evidence.ipvs = ipvs_entry(evidence.entry.found, evidence.address, evidence.number, number)


def _to_watch(where: Spots) -> Iterator[Spot]:
    """Each namespace once, in the order of a packet's way."""
    seen: set[int] = set()
    for spot in (where.client, *where.nodes.values(), *where.endpoints.values()):
        if spot.found is not None and id(spot.found) not in seen:
            seen.add(id(spot.found))
            yield spot


def _entries(evidence: Evidence, protocol: int) -> None:
    """Connection tracking's entries, asked for as the packet came to each place."""
    connection = evidence.connection
    assert connection is not None
    for name, watched in evidence.watched.items():
        legs = watched.there()
        if legs:
            headers = legs[0][0].headers
            original = tracked.Tuple(
                protocol, headers.source, headers.source_port, headers.destination, headers.destination_port
            )
        elif evidence.spots.node is not None and name == evidence.spots.node.place.id and connection.local[1]:
            # No trace events (there may be no nftables), but connection tracking may know it.
            original = tracked.Tuple(protocol, *connection.local, evidence.address, evidence.number)
        else:
            continue
        if (entry := watched.entry_of(original)) is not None:
            evidence.entries[name] = entry


def _chosen(evidence: Evidence) -> str:
    """The ``address:port`` that the connection went to in the end, as far as it was seen."""
    dialled = (evidence.address, evidence.number)
    connection = evidence.connection
    assert connection is not None
    if connection.remote not in (None, dialled, ("0.0.0.0", 0), ("::", 0)):  # rewritten at the socket
        assert connection.remote is not None
        return join(*connection.remote)
    for spot in (evidence.entry, evidence.spots.node, evidence.spots.client):
        if spot is None:
            continue
        watched = evidence.watched.get(spot.place.id)
        passages = [passage for leg in (watched.there() if watched else []) for passage in leg]
        for passage in reversed(passages):
            to = passage.headers.destination, passage.headers.destination_port
            if to != dialled:
                return join(*to)
        entry = evidence.entries.get(spot.place.id)
        if entry is not None and (to := (entry.reply.source, entry.reply.source_port)) != dialled:
            return join(*to)  # IPVS does not say that it translated
    direct = join(*dialled)
    return direct if direct in evidence.expectation.known else ""


def _listening(evidence: Evidence, protocol: str) -> list[Listener] | None:
    spot = evidence.spots.endpoints.get(evidence.chosen)
    if spot is None or spot.found is None:
        return None
    with contextlib.suppress(OSError):
        return listeners(spot.found.path, protocol)
    return None


def _entry_node(evidence: Evidence) -> Spot | None:
    """The node that decides on the packet: the client's own, or the one that it came to from outside."""
    where = evidence.spots
    for spot in where.nodes.values():
        if evidence.address in spot.place.addresses:
            return spot
    if where.node is not None:
        return where.node
    reached = [spot for spot in where.nodes.values() if _first_seen(evidence.watched.get(spot.place.id))]
    return min(reached, key=lambda spot: _first_seen(evidence.watched[spot.place.id]) or 0.0, default=None)


def _first_seen(watched: Watched | None) -> float | None:
    legs = watched.there() if watched is not None else []
    return legs[0][0].events[0].at if legs else None


def _row(request: Request, objects: Objects, evidence: Evidence) -> Row | None:
    entry = evidence.entry
    name = node_of(evidence.address, objects.nodes) if entry is None else entry.place.name
    where = evidence.spots
    own = where.node is not None and name == where.node.place.name
    is_pod = request.client.kind == "pod" and where.client is not where.node
    if is_pod and (own or _knows_all_pods(objects.config)):
        who = "pod"
    else:
        who = "node" if own and not is_pod else "outside"
    return evidence.expectation.row(who, name, evidence.address, evidence.number)


def _knows_all_pods(config: Mapping[str, Any]) -> bool:
    """Whether a proxy takes Pods of other nodes for Pods: ``detectLocalMode: ClusterCIDR``."""
    return bool(config.get("clusterCIDR")) and config.get("detectLocalMode") in ("", None, "ClusterCIDR")
