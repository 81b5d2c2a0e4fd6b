"""Where a connection may pass: the client, the nodes and the endpoints that are on this machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from clusterip.objects.core.node.types import Node
from clusterip.objects.core.pod.types import Pod
from clusterip.trace.expectation import Known
from clusterip.trace.machine import Found, Machine
from clusterip.trace.objects import Elsewhere, Objects, TraceError, addresses_of
from clusterip.trace.request import Client
from clusterip.trace.story import Place

_NODES, _PODS = 32, 64
"""How many are watched at most."""


@dataclass(frozen=True)
class Spot:
    """A place, with its namespace if it is one of this machine."""

    place: Place
    found: Found | None


@dataclass
class Spots:
    """``client`` is where the connection begins: a Pod, a node, or this machine. ``node`` is the client's
    node, None for a client that is none. ``nodes`` and ``pods`` are by name and by ``address:port``."""

    client: Spot
    node: Spot | None
    nodes: dict[str, Spot]
    endpoints: dict[str, Spot]


def spots(objects: Objects, client: Client, known: Mapping[str, Known], machine: Machine) -> Spots:
    """Find them all. Raises TraceError: the client is not on this machine, or is no such thing."""
    by_name = {node.metadata.name: node for node in objects.nodes}
    first = objects.client_pod.spec.nodeName if objects.client_pod else client.name
    wanted = dict.fromkeys([first, *(each.node for each in known.values() if each.node), *sorted(by_name)])
    nodes = {name: _node(by_name[name], machine) for name in list(wanted)[:_NODES] if name in by_name}
    node = nodes.get(first)
    if client.kind == "external":
        start = _external(nodes, machine)
    elif node is None or node.found is None:
        raise Elsewhere(
            f"{client} is on node {first}, which is not this machine: run the command there", first
        )
    else:
        start = _client(objects.client_pod, node, machine) if objects.client_pod else node
    return Spots(start, node, nodes, _endpoints(objects, known, nodes, machine, start))


def _node(node: Node, machine: Machine) -> Spot:
    name, addresses = node.metadata.name, addresses_of(node)
    found = machine.node(name, addresses)
    note = "" if found else "another machine: its packets are not seen from here"
    place = Place(
        id=f"node/{name}", kind="node", name=name, node=name, addresses=tuple(sorted(addresses)), note=note
    )
    return Spot(place, found)


def _external(nodes: Mapping[str, Spot], machine: Machine) -> Spot:
    own = machine.own
    if any(spot.found is own for spot in nodes.values()):
        raise TraceError(
            "this machine is a node, so it cannot stand for one outside: run it on another machine, or"
            " trace from the node itself with --from=node/NAME"
        )
    addresses = tuple(sorted(own.addresses))
    return Spot(Place(id="external", kind="external", name="this machine", addresses=addresses), own)


def _client(pod: Pod, node: Spot, machine: Machine) -> Spot:
    if pod.spec.hostNetwork:
        return node
    spot = _pod(
        pod.metadata.namespace, pod.metadata.name, pod.metadata.uid, pod.spec.nodeName, _ips(pod), machine
    )
    if spot.found is None:
        raise TraceError(
            f"the network namespace of {spot.place.id} is not found on this machine, though its node is:"
            " run the command as root, outside of containers"
        )
    return spot


def _ips(pod: Pod) -> frozenset[str]:
    return frozenset({pod.status.podIP, *(each.ip for each in pod.status.podIPs)} - {""})


def _pod(
    namespace: str, name: str, uid: str, node: str, addresses: Collection[str], machine: Machine
) -> Spot:
    found = machine.pod(frozenset(addresses), uid)
    place = Place(
        id=f"pod/{namespace}/{name}",
        kind="pod",
        name=name,
        node=node,
        addresses=tuple(sorted(addresses)),
        note="" if found else "its network namespace is not on this machine",
    )
    return Spot(place, found)


def _endpoints(
    objects: Objects, known: Mapping[str, Known], nodes: Mapping[str, Spot], machine: Machine, client: Spot
) -> dict[str, Spot]:
    pods = {pod.metadata.name: pod for pod in objects.pods}
    namespace = objects.aim.namespace
    here: dict[str, Spot] = {}
    for each in list(known.values())[:_PODS]:
        address = each.address.rpartition(":")[0].strip("[]")
        on_node = next((s for s in nodes.values() if address in s.place.addresses), None)
        if on_node is not None:  # a Pod on its node's network, or the node itself
            here[each.address] = on_node
        elif each.pod and (pod := pods.get(each.pod)) is not None:
            spot = _pod(namespace, each.pod, pod.metadata.uid, each.node, {address}, machine)
            here[each.address] = client if spot.place.id == client.place.id else spot
        elif each.pod:
            here[each.address] = _pod(namespace, each.pod, "", each.node, {address}, machine)
        else:
            place = Place(
                id=f"external/{address}",
                kind="external",
                name=address,
                addresses=(address,),
                note="no Pod: its packets are not seen from here",
            )
            here[each.address] = Spot(place, None)
    return here
