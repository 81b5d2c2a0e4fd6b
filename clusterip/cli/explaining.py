"""What ``clusterip explain`` asks the API server for, and how it prints what follows from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from clusterip.cli.connection import CommandError, Session
from clusterip.cli.tables import align
from clusterip.client.errors import ApiError, Unreachable
from clusterip.objects import codec
from clusterip.objects.base import Struct
from clusterip.objects.core.node import NODES
from clusterip.objects.core.service import SERVICES
from clusterip.objects.core.service.types import Service
from clusterip.objects.discovery.endpointslice import ENDPOINTSLICES
from clusterip.objects.discovery.endpointslice.types import Endpoint, EndpointSlice
from clusterip.proxy import wire
from clusterip.proxy.explain.service import Port, Question, Row, explain
from clusterip.proxy.explain.ways import NodeView, Settings
from clusterip.proxy.model import pack_address, pack_destination, show_destination
from clusterip.proxy.nodes import networks, pod_cidrs, primary_addresses
from clusterip.proxy.services import is_ours

_ASK_SECONDS = 3.0


class Candidate(msgspec.Struct):
    """An endpoint as its slice tells. ``state``: ``ready``, ``not ready``, ``terminating``."""

    address: str
    pod: str
    node: str
    zone: str
    state: str


class Explanation(msgspec.Struct):
    """What ``-o json`` prints. ``mode``: how a proxy programs the kernel, empty if none could be asked."""

    namespace: str
    name: str
    type: str
    mode: str
    nodes: list[str]
    zones: dict[str, str]
    endpoints: list[Candidate]
    ports: list[Port]
    notes: list[str]


class _List(Struct):
    items: list[msgspec.Raw] = []


async def gather(session: Session, name: str, only: Sequence[str]) -> Explanation:
    """Ask the API server and compute. Raises CommandError, ApiError, Unreachable."""
    client, namespace = session.client, session.namespace
    raw, slices, node_list = await asyncio.gather(
        client.request("GET", SERVICES.path(namespace, name)),
        client.request(
            "GET",
            ENDPOINTSLICES.path(namespace),
            query={"labelSelector": f"kubernetes.io/service-name={name}"},
        ),
        client.request("GET", NODES.path()),
    )
    service = codec.decode(raw, wire.Service)
    nodes = [codec.decode(bytes(item), wire.Node) for item in codec.decode(node_list, _List).items]
    names = [node.metadata.name for node in nodes]
    if unknown := [each for each in only if each not in names]:
        raise CommandError(f"error: there is no node {unknown[0]!r}; there are {', '.join(names) or 'none'}")
    chosen = [node for node in nodes if not only or node.metadata.name in only]
    config = await _configuration(session, [node.metadata.name for node in chosen])
    raw_slices = [bytes(item) for item in codec.decode(slices, _List).items]
    others = await _others(session, service)
    question = Question(service, [codec.decode(each, wire.EndpointSlice) for each in raw_slices], others)
    ports = explain(question, [_view(node) for node in chosen], _settings(config))
    notes = list(_notes(codec.decode(raw, Service), config, chosen))
    return Explanation(
        namespace=namespace,
        name=name,
        type=service.spec.type,
        mode=config.get("mode", ""),
        nodes=[node.metadata.name for node in chosen],
        zones={node.metadata.name: _zone(node) for node in nodes},
        endpoints=_candidates([codec.decode(each, EndpointSlice) for each in raw_slices]),
        ports=ports,
        notes=notes,
    )


async def _others(session: Session, service: wire.Service) -> list[wire.Service]:
    """Services that may claim an address of this one: only addresses from outside can be claimed twice."""
    balancer = service.status.loadBalancer if service.status else None
    if not (service.spec.externalIPs or (balancer and balancer.ingress)):
        return []
    answer = await session.client.request("GET", SERVICES.path(""))
    return [codec.decode(bytes(item), wire.Service) for item in codec.decode(answer, _List).items]


async def _configuration(session: Session, nodes: Sequence[str]) -> dict[str, Any]:
    """A proxy's configuration, from the first of some nodes that tells; empty if none does."""
    for node in nodes[:3]:
        try:
            path = f"/api/v1/nodes/{node}:10249/proxy/configz"
            answer = await session.client.request("GET", path, seconds=_ASK_SECONDS, accept="*/*")
            config: dict[str, Any] = json.loads(answer)["kubeproxy.config.k8s.io"]
            return config
        except (ApiError, Unreachable, ValueError, KeyError):
            continue
    return {}


def _settings(config: dict[str, Any]) -> Settings:
    if not config:
        return Settings()
    section = config.get("nftables" if config.get("mode") in ("nftables", "ebpf") else "iptables") or {}
    by_cidr = config.get("detectLocalMode") in ("", None, "ClusterCIDR")
    return Settings(
        knows_pods=bool(config.get("clusterCIDR")) or not by_cidr,
        masquerade_all=bool(section.get("masqueradeAll")),
    )


def _view(node: wire.Node) -> NodeView:
    addresses = tuple(primary_addresses(node))
    return NodeView(node.metadata.name, _zone(node), addresses, addresses, networks(pod_cidrs(node)))


def _zone(node: wire.Node) -> str:
    return node.metadata.labels.zone if node.metadata.labels is not None else ""


def _notes(service: Service, config: dict[str, Any], nodes: Sequence[wire.Node]) -> list[str]:
    spec = service.spec
    notes: list[str] = []
    if spec.type == "ExternalName":
        notes.append(f"ExternalName: DNS answers with an alias to {spec.externalName}; no proxy is concerned")
    elif spec.clusterIP == "None":
        notes.append("headless: DNS answers with the endpoints' addresses; no proxy is concerned")
    elif not is_ours(codec.decode(codec.encode(service), wire.Service)):
        notes.append("no proxy of this kind serves it: it is labelled for another one, or has no ClusterIP")
    if not spec.selector and spec.type != "ExternalName":
        notes.append("it has no selector: its EndpointSlices are somebody's own work")
    if not nodes:
        notes.append("there are no nodes, so no proxy")
    if not config:
        notes.append("no proxy could be asked for its configuration: that of `clusterip up` is assumed")
    elif config.get("mode") in ("ipvs", "ebpf"):
        notes.append(
            f"computed as the mode nftables does it; what the mode {config['mode']} does otherwise is in"
            " docs/proxy-modes.md"
        )
    if spec.healthCheckNodePort:
        notes.append(f"load balancers ask port {spec.healthCheckNodePort} of each node if it has endpoints")
    return notes


def _candidates(slices: Sequence[EndpointSlice]) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    for slice_ in slices:
        for port in slice_.ports or []:
            for endpoint in slice_.endpoints or []:
                packed = pack_address(endpoint.addresses[0]) if endpoint.addresses else None
                if packed is None or not port.port:
                    continue
                address = show_destination(pack_destination(packed, port.port))
                pod = endpoint.targetRef.name if endpoint.targetRef else ""
                node = endpoint.nodeName or ""
                found[address] = Candidate(address, pod, node, endpoint.zone or "", _state(endpoint))
    return list(found.values())


def _state(endpoint: Endpoint) -> str:
    conditions = endpoint.conditions
    if conditions.terminating:
        return "terminating" if conditions.serving is False else "terminating, still serving"
    return "not ready" if conditions.ready is False else "ready"


# Printing.


def show(found: Explanation) -> None:
    """Print it for a person."""
    click.echo(f"{found.namespace}/{found.name} ({found.type})")
    for note in found.notes:
        click.echo(f"  {note}")
    numbers = {candidate.address: f"#{number}" for number, candidate in enumerate(found.endpoints, 1)}
    click.echo()
    if found.endpoints:
        rows = [["", "ENDPOINT", "POD", "NODE", "ZONE", "STATE"]]
        for each in found.endpoints:
            more = [each.pod or "-", each.node or "-", each.zone or "-", each.state]
            rows.append([numbers[each.address], each.address, *more])
        click.echo(_joined(rows))
    else:
        click.echo("It has no endpoints: no EndpointSlice of it lists an address.")
    for port in found.ports:
        click.echo()
        click.echo(_heading(port))
        click.echo(_joined(_rows(port, found, numbers)))
        for line in _left_out(port, found, numbers):
            click.echo(line)
    if found.endpoints and found.ports:
        click.echo("\nA Pod that reaches itself through the Service is seen as the node.")


def _joined(rows: list[list[str]]) -> str:
    return "\n".join(line.rstrip() for line in align(rows).splitlines())


def _heading(port: Port) -> str:
    name = f"port {port.name} ({port.port}/{port.protocol}, {port.family})" if port.name else ""
    text = name or f"port {port.port}/{port.protocol}, {port.family}"
    if port.affinitySeconds:
        text += f", each client stays with its endpoint for {port.affinitySeconds} s (ClientIP)"
    return text


def _rows(port: Port, found: Explanation, numbers: dict[str, str]) -> list[list[str]]:
    rows = [["FROM", "TO", "REACHES", "CLIENT SEEN AS", "WHY"]]
    for row in port.rows:
        to = (
            f"{row.address or 'NODE'}:{row.port}" if ":" not in row.address else f"[{row.address}]:{row.port}"
        )
        rows.append([_from(row, found), to, _reaches(row, numbers), _seen(row), _why(row)])
    return rows


def _from(row: Row, found: Explanation) -> str:
    every = len(row.nodes) == len(found.nodes) > 1
    nodes = "every node" if every else _some(row.nodes)
    zones = {found.zones.get(node, "") for node in row.nodes} - {""}
    where = f" ({', '.join(sorted(zones))})" if zones and not every else ""
    match row.client:
        case "pod":
            return f"Pods on {nodes}{where}" if row.via != "node port" else f"Pods, to {nodes}{where}"
        case "node":
            return f"{nodes} itself{where}"
    return f"outside, by {'any node' if every else nodes}{where}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _reaches(row: Row, numbers: dict[str, str]) -> str:
    if row.owner:
        return f"another Service's port: {row.owner}"
    if row.verdict != "reached":
        return "nothing: refused" if row.verdict == "refused" else "nothing: dropped"
    names = [numbers.get(each.address, each.address) for each in row.endpoints]
    if len(names) > 6:
        names = [*names[:3], "…", names[-1]]
    part = f"{100 * row.endpoints[0].probability:.3g}%" + (" each" if len(row.endpoints) > 1 else "")
    return f"{' '.join(names)} ({part})"


def _seen(row: Row) -> str:
    if row.verdict != "reached":
        return "-"
    return "itself" if row.source == "kept" else "the node"


def _why(row: Row) -> str:
    limits = (
        f"; only from {', '.join(row.sourceRanges)}" if row.sourceRanges and row.verdict == "reached" else ""
    )
    return row.why + limits


def _left_out(port: Port, found: Explanation, numbers: dict[str, str]) -> list[str]:
    """Which endpoints are left out, for whom and why."""
    reasons: dict[tuple[str, str], dict[str, None]] = {}
    rows = [row for row in port.rows if row.verdict == "reached"]
    for row in rows:
        for each in row.leftOut:
            reasons.setdefault((each.address, each.reason), {})[_from(row, found)] = None
    everybody = len({_from(row, found) for row in rows})
    lines = []
    for (address, reason), clients in reasons.items():
        names = list(clients)
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        whom = f", {'; '.join(names[:4])}{more}" if len(names) < everybody else ""
        lines.append(f"left out{whom}: {numbers.get(address, '')} {address}, {reason}")
    return lines
