"""Other nodes as the Pod network sees them, and what a node says of its own end of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import msgspec

from clusterip.node.network.ipam import Address, Network
from clusterip.process import log

VXLAN_ANNOTATION = "clusterip.local/vxlan"
"""Where a node writes how its VXLAN device is reached: a ``Vtep`` as JSON."""

_log = log.get("node")


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    resourceVersion: str = ""
    uid: str = ""
    annotations: dict[str, str] = {}


class _Address(msgspec.Struct):
    type: str = ""
    address: str = ""


class _Spec(msgspec.Struct):
    podCIDR: str = ""
    podCIDRs: list[str] = []


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    addresses: list[_Address] = []
    conditions: list[_Condition] = []


class Peer(msgspec.Struct):
    """As much of a Node as other nodes need, and the node itself to see how it is taken to be."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def is_given_up(self) -> bool:
        """Whether the node lifecycle controller has not heard of it for too long."""
        return any(each.type == "Ready" and each.status == "Unknown" for each in self.status.conditions)


class Vtep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A VXLAN tunnel endpoint (RFC 7348): the node's address in the network below and its device's MAC.

    ``always``: the node sends nothing past its device and wants nothing to come past it. ``needed``: it has
    the device for peers it could not reach otherwise, not only because others need one.
    """

    address: str
    mac: str
    vni: int
    port: int
    always: bool = False
    needed: bool = False

    @property
    def remote(self) -> Address:
        return ip_address(self.address)


@dataclass(frozen=True)
class Remote:
    """What of a Node decides how its Pods are reached."""

    name: str
    networks: tuple[Network, ...]
    addresses: tuple[Address, ...]
    vtep: Vtep | None = None

    def address(self, version: int) -> Address | None:
        """The node's own address in one family."""
        return next((address for address in self.addresses if address.version == version), None)


def remote_of(peer: Peer) -> Remote:
    """A Node's part in the Pod network. What cannot be understood is left out: others must not suffer."""
    cidrs = peer.spec.podCIDRs or [peer.spec.podCIDR]
    own = [each.address for each in peer.status.addresses if each.type == "InternalIP"]
    return Remote(
        name=peer.metadata.name,
        networks=tuple(_parsed(ip_network, filter(None, cidrs))),
        addresses=tuple(_parsed(ip_address, own)),
        vtep=_vtep_of(peer),
    )


def encode(vtep: Vtep) -> str:
    """The annotation's value."""
    return msgspec.json.encode(vtep).decode()


def _vtep_of(peer: Peer) -> Vtep | None:
    text = peer.metadata.annotations.get(VXLAN_ANNOTATION)
    if not text:
        return None
    try:
        vtep = msgspec.json.decode(text, type=Vtep)
        ip_address(vtep.address)
        if len(bytes.fromhex(vtep.mac.replace(":", ""))) != 6:
            raise ValueError(f"{vtep.mac} is no MAC address")
    except (msgspec.DecodeError, ValueError) as error:
        fields = {"node": peer.metadata.name, "annotation": VXLAN_ANNOTATION, "error": str(error)}
        _log.warning("annotation not understood", **fields)
        return None
    return vtep


def _parsed(parse, texts: Iterable[str]):  # type: ignore[no-untyped-def]
    for text in texts:
        try:
            yield parse(text)
        except ValueError:
            continue
