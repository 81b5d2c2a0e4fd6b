"""Services, slices and zones in few words, and asking a responder as a client would."""

from __future__ import annotations

from collections.abc import Iterable

import dns.flags
import dns.message
import dns.rdatatype
from dns.message import Message

from clusterip.dns import wire
from clusterip.dns.forward import Forwarder
from clusterip.dns.records import records_of
from clusterip.dns.responder import Responder
from clusterip.dns.zone import Zone


def service(
    name: str = "svc1",
    *addresses: str,
    namespace: str = "testns",
    ports: Iterable[tuple[str, int] | tuple[str, int, str]] = (),
    external: str = "",
) -> wire.Service:
    """A Service; with address ``None`` (as text) a headless one."""
    spec = wire.ServiceSpec(
        clusterIP=addresses[0] if addresses else "",
        clusterIPs=list(addresses),
        type="ExternalName" if external else "ClusterIP",
        externalName=external,
        ports=[wire.ServicePort(port[1], port[0], port[2] if len(port) > 2 else "TCP") for port in ports],
    )
    return wire.Service(wire.Metadata(name, namespace), spec)


def endpoint(*addresses: str, hostname: str | None = None, ready: bool | None = True) -> wire.Endpoint:
    return wire.Endpoint(list(addresses), wire.EndpointConditions(ready), hostname)


def endpoint_slice(
    *endpoints: wire.Endpoint, family: str = "IPv4", ports: Iterable[tuple[str | None, int]] = ()
) -> wire.EndpointSlice:
    return wire.EndpointSlice(
        wire.SliceMetadata("x", "testns", "1", wire.SliceLabels("svc1")),
        family,
        list(endpoints),
        [wire.EndpointPort(number, name, "TCP") for name, number in ports],
    )


def put(zone: Zone, service: wire.Service, *slices: wire.EndpointSlice) -> None:
    key = (service.metadata.namespace, service.metadata.name)
    zone.put(key, records_of(service, slices, zone.domain))


def responder_of(zone: Zone) -> Responder:
    """One that forwards to nobody."""
    return Responder(zone, Forwarder(list))


def exchange(responder: Responder, packet: bytes, *, tcp: bool = False) -> bytes | None:
    """What a packet gets at once: from what is kept, as the UDP server does it, or worked out."""
    if not tcp:
        kept = responder.lasting.get(packet[2:]) or responder.fleeting.get(packet[2:])
        if kept is not None:
            return packet[:2] + (kept if isinstance(kept, bytes) else next(kept))
        recased = responder.recased(packet)
        if recased is not None:
            return recased[1]
    sent: list[bytes] = []
    responder.respond(packet, lambda answer, **_: sent.append(answer), tcp=tcp)
    assert len(sent) < 2
    return sent[0] if sent else None


def ask(
    responder: Responder,
    name: str,
    type_: str = "A",
    *,
    edns: int = -1,
    payload: int = 1232,
    tcp: bool = False,
) -> Message:
    """Ask as a client; its library checks that the answer belongs to the question."""
    query = dns.message.make_query(name, type_, use_edns=edns, payload=payload)
    packet = exchange(responder, query.to_wire(), tcp=tcp)
    assert packet is not None
    answer = dns.message.from_wire(packet)
    assert query.is_response(answer)
    return answer


def texts(section: list[dns.rrset.RRset]) -> list[str]:
    """A section's records as text, sorted."""
    return sorted(line for rrset in section for line in rrset.to_text().splitlines())
