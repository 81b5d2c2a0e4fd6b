"""Services of every sort, and the rules that a kube-proxy 1.36 has for them on the node ``node-a``.

``expected/NAME-ipv4.rules`` is what ``iptables-save`` shows on a node with a kube-proxy configured as
``CONFIGURATIONS[NAME]`` and these objects: chains in order of their names, rules of chains that all Services
share in order of their texts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clusterip.kernel.iptables import Rules, parse
from clusterip.kernel.nftables import Family
from clusterip.objects import codec
from clusterip.proxy import wire
from clusterip.proxy.backend import PodDetection
from clusterip.proxy.iptables.environment import COUNTERS, Environment
from clusterip.proxy.model import PortState, pack_address
from clusterip.proxy.tracker import Tracker

NODE, OTHER, ZONE = "node-a", "node-b", "z1"
NODE_IPS = {Family.IPV4: "192.0.2.1", Family.IPV6: "2001:db8::1"}
HERE, HERE_TOO, AWAY = "10.244.1.2", "10.244.1.3", "10.244.2.4"

_CIDRS = tuple(ipaddress.ip_network(cidr) for cidr in ("10.244.0.0/16", "fd00:244::/32"))
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "cluster-cidr": {"pods": PodDetection(_CIDRS)},
    "masquerade-all": {"pods": PodDetection(bridge="br0"), "masquerade_all": True},
    "interface-prefix": {
        "pods": PodDetection(interface_prefix="cali"),
        "masquerade_bit": 10,
        "all_node_addresses": False,
        "localhost_node_ports": False,
    },
    "no-localhost": {"localhost_node_ports": False},
}

TERMINATING = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}
Spec = dict[str, Any]


def expected(name: str, family: Family) -> dict[str, Rules]:
    """The tables of a kube-proxy with that configuration."""
    version = 4 if family is Family.IPV4 else 6
    return parse((Path(__file__).parent / "expected" / f"{name}-ipv{version}.rules").read_text())


def environment(name: str, family: Family) -> Environment:
    own = pack_address(NODE_IPS[family])
    assert own is not None
    given = {"localhost_node_ports": family is Family.IPV4} | CONFIGURATIONS[name]
    return Environment(family, node_ips=(own,), node_port_ips=(own,), counters=frozenset(COUNTERS), **given)


def states(family: Family) -> list[PortState]:
    """What the node has for all Services, of one family."""
    tracker = Tracker(NODE)
    node = {"metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": ZONE}}}
    tracker.node_changed(codec.convert(node, wire.Node))
    tracker.service_changed(None, codec.convert(_KUBERNETES, wire.Service))
    for number, (name, spec) in enumerate(SERVICES.items(), 20):
        tracker.service_changed(None, _service(name, number, dict(spec)))
        for slice_ in _slices(name, spec):
            tracker.slice_changed(None, slice_)
    return [change.new for change in tracker.take_changes() if change.new and change.key.family is family]


def _service(name: str, number: int, spec: Spec) -> wire.Service:
    families = spec.pop("families", "4")
    ips = [f"10.90.1.{number}" if family == "4" else f"fd00:90::{number:x}" for family in families]
    spec.pop("endpoints4", ())
    spec.pop("endpoints6", ())
    ingress, labels = spec.pop("ingress", []), spec.pop("labels", {})
    tree = {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"type": "ClusterIP", "clusterIP": ips[0], "clusterIPs": ips, "ports": [_HTTP], **spec},
        "status": {"loadBalancer": {"ingress": ingress}},
    }
    return codec.convert(tree, wire.Service)


def _slices(name: str, spec: Spec) -> Iterator[wire.EndpointSlice]:
    for family in "46":
        endpoints: Sequence[Any] = spec.get(f"endpoints{family}", ())
        if not endpoints:
            continue
        ports = [
            {"name": port.get("name", ""), "protocol": port["protocol"], "port": port.get("to", port["port"])}
            for port in spec.get("ports", [_HTTP])
        ]
        tree = {
            "addressType": f"IPv{family}",
            "metadata": {
                "name": f"{name}-{family}",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": name},
            },
            "endpoints": [at(each) if isinstance(each, str) else each for each in endpoints],
            "ports": ports,
        }
        yield codec.convert(tree, wire.EndpointSlice)


def at(
    address: str, node: str = "", *, zones: Sequence[str] = (), nodes: Sequence[str] = (), **conditions: bool
) -> Spec:
    """An endpoint; on no node that anybody knows, unless told."""
    tree: Spec = {"addresses": [address], "conditions": {"ready": True} | conditions}
    if node:
        tree["nodeName"] = node
    hints = {"forZones": [{"name": zone} for zone in zones], "forNodes": [{"name": each} for each in nodes]}
    tree["hints"] = {kind: names for kind, names in hints.items() if names}
    return tree


def _port(
    node_port: int, *, protocol: str = "TCP", to: int = 8080, name: str = "http", port: int = 80
) -> Spec:
    return {"name": name, "port": port, "protocol": protocol, "nodePort": node_port, "to": to}


_HTTP = {"name": "http", "port": 80, "protocol": "TCP", "to": 8080}
_KUBERNETES = {
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "spec": {
        "clusterIP": "10.90.0.1",
        "clusterIPs": ["10.90.0.1"],
        "ports": [{"name": "https", "port": 443, "protocol": "TCP"}],
    },
}
_BOTH = [at(HERE, NODE), at(AWAY, OTHER)]
_THERE = [at(AWAY, OTHER)]


def _node_port(
    number: int, endpoints: Sequence[Any] = (), *, to: int = 8080, protocol: str = "TCP", **more: Any
) -> Spec:
    ports = [_port(number, to=to, protocol=protocol)]
    return {"type": "NodePort", "ports": ports, "endpoints4": endpoints, **more}


def _balanced(number: int, ip: str, endpoints: Sequence[Any] = (), *, to: int = 8080, **more: Any) -> Spec:
    return _node_port(number, endpoints, to=to, **{"type": "LoadBalancer", "ingress": [{"ip": ip}], **more})


_LOCAL = {"externalTrafficPolicy": "Local"}

# The order matters: it is what their ClusterIPs are numbered by.
SERVICES: dict[str, Spec] = {
    "plain": {"endpoints4": [HERE, HERE_TOO, AWAY]},
    "unnamed": {"ports": [{"port": 80, "protocol": "TCP", "to": 8080}], "endpoints4": [HERE]},
    "multi": {
        "ports": [
            {"name": "a", "port": 80, "protocol": "TCP", "to": 8080},
            {"name": "b", "port": 53, "protocol": "UDP", "to": 5353},
            {"name": "c", "port": 90, "protocol": "SCTP", "to": 99},
        ],
        "endpoints4": [HERE, HERE_TOO],
    },
    "sameport": {
        "ports": [
            {"name": "t", "port": 53, "protocol": "TCP"},
            {"name": "u", "port": 53, "protocol": "UDP"},
        ],
        "endpoints4": [HERE, HERE_TOO],
    },
    "noeps": {},
    "noeps-np": _node_port(30001, externalIPs=["198.51.100.7"]),
    "np": _node_port(30002, _BOTH),
    "np-local": _node_port(30003, _BOTH, **_LOCAL),
    "np-local-none": _node_port(30004, _THERE, externalIPs=["198.51.100.8"], **_LOCAL),
    "int-local": {"internalTrafficPolicy": "Local", "endpoints4": _BOTH},
    "int-local-none": {"internalTrafficPolicy": "Local", "endpoints4": _THERE},
    "both-local": _node_port(
        30005,
        [at(HERE, NODE), at(HERE_TOO, NODE, **TERMINATING), at(AWAY, OTHER)],
        protocol="UDP",
        internalTrafficPolicy="Local",
        **_LOCAL,
    ),
    "sticky": {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 7200}},
        "endpoints4": [HERE, HERE_TOO, AWAY],
    },
    "sticky-np": _node_port(30006, _BOTH, sessionAffinity="ClientIP", **_LOCAL),
    "lb": _balanced(
        30007,
        "",
        _BOTH,
        ingress=[{"ip": "203.0.113.5"}, {"ip": "203.0.113.6", "ipMode": "Proxy"}, {"hostname": "x.example"}],
    ),
    "lb-local": _balanced(30008, "203.0.113.7", _BOTH, healthCheckNodePort=30100, **_LOCAL),
    "lb-local-none": _balanced(30009, "203.0.113.8", _THERE, healthCheckNodePort=30101, **_LOCAL),
    "lb-src": _balanced(
        30010, "203.0.113.9", [HERE], loadBalancerSourceRanges=["203.0.113.128/25", "192.0.2.0/24"]
    ),
    "lb-src-local": {
        "type": "LoadBalancer",
        "ports": [_port(30011), _port(30012, protocol="UDP", to=81, name="u", port=81)],
        "endpoints4": _THERE,
        "ingress": [{"ip": "203.0.113.10"}],
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "healthCheckNodePort": 30102,
        **_LOCAL,
    },
    "lb-src-none": _balanced(30013, "203.0.113.11", loadBalancerSourceRanges=["10.0.0.0/8"]),
    "lb-zero": _balanced(
        30014, "203.0.113.12", [HERE], to=80, loadBalancerSourceRanges=["10.0.0.0/8", "0.0.0.0/0"]
    ),
    "lb-nonp": {"type": "LoadBalancer", "endpoints4": [HERE], "ingress": [{"ip": "203.0.113.13"}]},
    "ext": {"externalIPs": ["198.51.100.1", "198.51.100.2"], "endpoints4": [HERE, HERE_TOO]},
    "ext-local": _node_port(30015, _BOTH, to=80, externalIPs=["198.51.100.3"], **_LOCAL),
    "term": {"endpoints4": [at(HERE, NODE, **TERMINATING), at(HERE_TOO, NODE, **GONE)]},
    "term-mixed": {"endpoints4": [at(HERE, NODE, **TERMINATING), at(HERE_TOO, NODE)]},
    "zones": {"endpoints4": [at(HERE, NODE, zones=["z1"]), at(AWAY, OTHER, zones=["z2"])]},
    "nodes": {
        "endpoints4": [
            at(HERE, NODE, zones=["z1"], nodes=[NODE]),
            at(HERE_TOO, NODE, zones=["z1"], nodes=[OTHER]),
        ]
    },
    "hint-missing": {"endpoints4": [at(HERE, NODE, zones=["z1"]), at(AWAY, OTHER)]},
    "zones-local": _node_port(
        30016, [at(HERE, NODE, zones=["z2"]), at(AWAY, OTHER, zones=["z1"])], to=80, **_LOCAL
    ),
    "six": {"families": "6", "endpoints6": ["fd00:244:1::2", "fd00:244:2::3"]},
    "six-np": _node_port(
        30017,
        to=80,
        families="6",
        endpoints6=[at("fd00:244:1::2", NODE), at("fd00:244:2::2", OTHER)],
        sessionAffinity="ClientIP",
        **_LOCAL,
    ),
    "six-lb": _balanced(
        30018,
        "2001:db8:9::1",
        to=80,
        families="6",
        endpoints6=[at("fd00:244:1::2", NODE)],
        loadBalancerSourceRanges=["2001:db8::/32", "10.0.0.0/8"],
    ),
    "six-none": _node_port(30019, families="6"),
    "dual": _node_port(30020, [HERE, HERE_TOO], to=80, families="46", endpoints6=["fd00:244:1::2"]),
    "twelve": {"endpoints4": [f"10.244.3.{number}" for number in range(2, 14)]},
    "other-proxy": {"labels": {"service.kubernetes.io/service-proxy-name": "x"}, "endpoints4": [HERE]},
    "sctp": {"ports": [{"name": "s", "port": 132, "protocol": "SCTP"}], "endpoints4": [HERE, AWAY]},
    "udp-none": {
        "type": "NodePort",
        "ports": [{"name": "s", "port": 132, "protocol": "UDP", "nodePort": 30693}],
        "externalIPs": ["198.51.100.9"],
    },
}
