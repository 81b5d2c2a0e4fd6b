"""Questions and answers, as the Kubernetes DNS specification 1.1 and CoreDNS's tests have them."""

from __future__ import annotations

import dns.rcode
import pytest
from dns_objects import ask, endpoint, endpoint_slice, put, responder_of, service, texts

from clusterip.dns.responder import Responder
from clusterip.dns.zone import Zone

SOA = "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local."


@pytest.fixture
def responder() -> Responder:
    zone = Zone("cluster.local", 5)
    zone.put_namespace("testns", True)
    zone.put_namespace("empty", True)
    put(zone, service("svc1", "10.0.0.1", ports=[("http", 80)]))
    put(zone, service("unnamed", "10.0.0.2", ports=[("", 80)]))
    put(zone, service("portless", "10.0.0.4"))
    put(zone, service("multi", "10.0.0.5", ports=[("dns", 53, "UDP"), ("dns-tcp", 53), ("sig", 9, "SCTP")]))
    put(zone, service("svc6", "1234:abcd::1", ports=[("http", 80)]))
    put(zone, service("dual", "10.0.0.3", "10::3", ports=[("http", 80)]))
    put(zone, service("pending"))
    put(
        zone,
        service("hdls1", "None", ports=[("http", 80)]),
        endpoint_slice(
            endpoint("172.0.0.2"),
            endpoint("172.0.0.3"),
            endpoint("172.0.0.4", hostname="dup-name"),
            endpoint("172.0.0.5", hostname="dup-name"),
            endpoint("172.0.0.6", hostname="down", ready=False),
            ports=[("http", 80)],
        ),
        endpoint_slice(endpoint("172.0.0.2"), endpoint("172.0.0.7", ready=None), ports=[("http", 80)]),
        endpoint_slice(
            endpoint("5678:abcd::1"), endpoint("5678:abcd::2"), family="IPv6", ports=[("http", 80)]
        ),
        endpoint_slice(endpoint("www.example.com"), family="FQDN"),
    )
    put(zone, service("hdlsprtls", "None"), endpoint_slice(endpoint("172.0.0.20")))
    put(
        zone,
        service("hdlsempty", "None"),
        endpoint_slice(endpoint("172.0.0.30", ready=False), ports=[("a", 1)]),
    )
    put(zone, service("internal", external="svc1.testns.svc.cluster.local"))
    put(zone, service("chain", external="internal.testns.svc.cluster.local."))
    put(zone, service("dangling", external="gone.testns.svc.cluster.local"))
    put(zone, service("circle", external="elcric.testns.svc.cluster.local"))
    put(zone, service("elcric", external="circle.testns.svc.cluster.local"))
    put(zone, service("external", external="ext.interwebs.test"))
    put(zone, service("address", external="1.2.3.4"))
    put(zone, service("second", "10.0.0.9", namespace="unlisted"))
    zone.synced = True
    return responder_of(zone)


def records(*lines: str) -> list[str]:
    """Lines with the cluster's suffixes written out."""
    return sorted(
        line.replace("@", ".testns.svc.cluster.local.").replace(" IN ", " 5 IN ", 1) for line in lines
    )


@pytest.mark.parametrize(
    ("name", "type_", "answer"),
    [
        ("svc1@", "A", ["svc1@ IN A 10.0.0.1"]),
        ("svc1@", "SRV", ["svc1@ IN SRV 0 100 80 svc1@"]),
        ("_http._tcp.svc1@", "SRV", ["_http._tcp.svc1@ IN SRV 0 100 80 svc1@"]),
        ("unnamed@", "SRV", ["unnamed@ IN SRV 0 100 80 unnamed@"]),
        ("_dns._udp.multi@", "SRV", ["_dns._udp.multi@ IN SRV 0 100 53 multi@"]),
        ("_dns-tcp._tcp.multi@", "SRV", ["_dns-tcp._tcp.multi@ IN SRV 0 100 53 multi@"]),
        ("_sig._sctp.multi@", "SRV", ["_sig._sctp.multi@ IN SRV 0 100 9 multi@"]),
        ("svc6@", "AAAA", ["svc6@ IN AAAA 1234:abcd::1"]),
        ("dual@", "A", ["dual@ IN A 10.0.0.3"]),
        ("dual@", "AAAA", ["dual@ IN AAAA 10::3"]),
        ("dual@", "SRV", ["dual@ IN SRV 0 50 80 dual@"]),
        ("hdls1@", "A", [f"hdls1@ IN A 172.0.0.{last}" for last in (2, 3, 4, 5, 7)]),
        ("hdls1@", "AAAA", ["hdls1@ IN AAAA 5678:abcd::1", "hdls1@ IN AAAA 5678:abcd::2"]),
        ("172-0-0-2.hdls1@", "A", ["172-0-0-2.hdls1@ IN A 172.0.0.2"]),
        ("dup-name.hdls1@", "A", ["dup-name.hdls1@ IN A 172.0.0.4", "dup-name.hdls1@ IN A 172.0.0.5"]),
        ("5678-abcd--2.hdls1@", "AAAA", ["5678-abcd--2.hdls1@ IN AAAA 5678:abcd::2"]),
        ("hdlsprtls@", "A", ["hdlsprtls@ IN A 172.0.0.20"]),
        ("172-0-0-20.hdlsprtls@", "A", ["172-0-0-20.hdlsprtls@ IN A 172.0.0.20"]),
        (
            "_http._tcp.hdls1@",
            "SRV",
            [
                f"_http._tcp.hdls1@ IN SRV 0 14 80 {host}.hdls1@"
                for host in (
                    "172-0-0-2",
                    "172-0-0-3",
                    "172-0-0-7",
                    "dup-name",
                    "5678-abcd--1",
                    "5678-abcd--2",
                )
            ],
        ),
        ("external@", "CNAME", ["external@ IN CNAME ext.interwebs.test."]),
        ("internal@", "A", ["internal@ IN CNAME svc1@", "svc1@ IN A 10.0.0.1"]),
        (
            "chain@",
            "A",
            ["chain@ IN CNAME internal@", "internal@ IN CNAME svc1@", "svc1@ IN A 10.0.0.1"],
        ),
        ("second.unlisted.svc.cluster.local.", "A", ["second.unlisted.svc.cluster.local. IN A 10.0.0.9"]),
        ("1-2-3-4.testns.pod.cluster.local.", "A", ["1-2-3-4.testns.pod.cluster.local. IN A 1.2.3.4"]),
        (
            "fd00--1.empty.pod.cluster.local.",
            "AAAA",
            ["fd00--1.empty.pod.cluster.local. IN AAAA fd00::1"],
        ),
        ("1.0.0.10.in-addr.arpa.", "PTR", ["1.0.0.10.in-addr.arpa. IN PTR svc1@"]),
        ("2.0.0.172.in-addr.arpa.", "PTR", ["2.0.0.172.in-addr.arpa. IN PTR 172-0-0-2.hdls1@"]),
        ("4.0.0.172.in-addr.arpa.", "PTR", ["4.0.0.172.in-addr.arpa. IN PTR dup-name.hdls1@"]),
        ("cluster.local.", "NS", ["cluster.local. IN NS ns.dns.cluster.local."]),
    ],
)
async def test_there_is_an_answer(responder: Responder, name: str, type_: str, answer: list[str]) -> None:
    reply = ask(responder, name.replace("@", ".testns.svc.cluster.local."), type_)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.flags & dns.flags.AA
    assert texts(reply.answer) == records(*answer)
    assert not reply.authority


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("svc1@", "AAAA"),
        ("svc1@", "TXT"),
        ("svc1@", "NS"),
        ("svc1@", "SOA"),
        ("svc1@", "HTTPS"),
        ("svc6@", "A"),
        ("portless@", "SRV"),
        ("_tcp.svc1@", "SRV"),
        ("_http._tcp.svc1@", "A"),
        ("address@", "A"),
        ("internal@", "AAAA"),
        ("svc.cluster.local.", "A"),
        ("svc.cluster.local.", "NS"),
        ("pod.cluster.local.", "A"),
        ("testns.svc.cluster.local.", "A"),
        ("testns.pod.cluster.local.", "A"),
        ("empty.svc.cluster.local.", "AAAA"),
        ("unlisted.svc.cluster.local.", "A"),
        ("cluster.local.", "A"),
        ("1-2-3-4.testns.pod.cluster.local.", "AAAA"),
    ],
)
async def test_the_name_exists_but_not_the_type(responder: Responder, name: str, type_: str) -> None:
    reply = ask(responder, name.replace("@", ".testns.svc.cluster.local."), type_)
    assert reply.rcode() == dns.rcode.NOERROR
    assert all(rrset.rdtype == dns.rdatatype.CNAME for rrset in reply.answer)
    assert len(reply.authority) == 1
    assert reply.authority[0].to_text().startswith(SOA)


@pytest.mark.parametrize(
    "name",
    [
        "svc0@",
        "svc1.nons.svc.cluster.local.",
        "nons.svc.cluster.local.",
        "foo.cluster.local.",
        "foo.svc.cluster.local.",
        "bogus.hdls1@",
        "down.hdls1@",
        "172-0-0-6.hdls1@",
        "172-0-0-4.hdls1@",
        "bogus.svc0@",
        "bogus.external@",
        "bogus.svc1@",
        "_https._tcp.svc1@",
        "_http._udp.svc1@",
        "_._tcp.unnamed@",
        "hdlsempty@",
        "_a._tcp.hdlsempty@",
        "172-0-0-30.hdlsempty@",
        "pending@",
        "*@",
        "*.testns.svc.cluster.local.",
        "svc1.*.svc.cluster.local.",
        "1-2-3-4.nons.pod.cluster.local.",
        "1-2-3-256.testns.pod.cluster.local.",
        "hello.testns.pod.cluster.local.",
        "a.1-2-3-4.testns.pod.cluster.local.",
        "my-service.default.svc.cluster.local.testns.svc.cluster.local.",
        "www.example.com.svc.cluster.local.",
    ],
)
@pytest.mark.parametrize("type_", ["A", "AAAA", "SRV", "ANY", "NS"])
async def test_the_name_does_not_exist(responder: Responder, name: str, type_: str) -> None:
    reply = ask(responder, name.replace("@", ".testns.svc.cluster.local."), type_)
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert not reply.answer
    assert reply.authority[0].to_text().startswith(SOA)


async def test_srv_answers_carry_the_addresses(responder: Responder) -> None:
    reply = ask(responder, "_http._tcp.dual.testns.svc.cluster.local.", "SRV")
    assert texts(reply.additional) == records("dual@ IN A 10.0.0.3", "dual@ IN AAAA 10::3")
    reply = ask(responder, "_http._tcp.hdls1.testns.svc.cluster.local.", "SRV", edns=0)
    assert len(texts(reply.additional)) == 7


async def test_the_version_of_the_schema(responder: Responder) -> None:
    (answer,) = ask(responder, "dns-version.cluster.local.", "TXT").answer
    assert answer.to_text() == 'dns-version.cluster.local. 28800 IN TXT "1.1.0"'


async def test_the_zone_tells_who_answers(responder: Responder) -> None:
    assert ask(responder, "cluster.local.", "SOA").answer[0].to_text().startswith(SOA)
    responder.zone.put_server_addresses({1: (b"\x0a\x60\0\x0a",)})
    assert texts(ask(responder, "ns.dns.cluster.local.").answer) == [
        "ns.dns.cluster.local. 5 IN A 10.96.0.10"
    ]
    assert texts(ask(responder, "cluster.local.", "NS").additional) == [
        "ns.dns.cluster.local. 5 IN A 10.96.0.10"
    ]
    responder.zone.put_server_addresses({})
    assert ask(responder, "ns.dns.cluster.local.").rcode() == dns.rcode.NXDOMAIN


async def test_the_type_any_gets_a_word_of_thanks(responder: Responder) -> None:
    (answer,) = ask(responder, "svc1.testns.svc.cluster.local.", "ANY").answer
    assert answer.to_text().endswith('IN HINFO "RFC8482" ""')


async def test_an_endless_chain_is_a_failure(responder: Responder) -> None:
    assert ask(responder, "circle.testns.svc.cluster.local.").rcode() == dns.rcode.SERVFAIL


async def test_a_chain_into_the_void_says_so(responder: Responder) -> None:
    reply = ask(responder, "dangling.testns.svc.cluster.local.")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert texts(reply.answer) == records("dangling@ IN CNAME gone@")


async def test_a_chain_that_leaves_the_zone_needs_somebody_to_ask(responder: Responder) -> None:
    assert ask(responder, "external.testns.svc.cluster.local.").rcode() == dns.rcode.SERVFAIL
    assert ask(responder, "www.example.com.").rcode() == dns.rcode.REFUSED


async def test_a_reverse_name_with_another_type_is_ours_alone(responder: Responder) -> None:
    reply = ask(responder, "1.0.0.10.in-addr.arpa.", "A")
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.authority[0].name.to_text() == "1.0.0.10.in-addr.arpa."


@pytest.mark.parametrize("type_", ["AXFR", "IXFR"])
async def test_no_zone_transfers(responder: Responder, type_: str) -> None:
    # dnspython would not make an IXFR query without a serial: only the type differs
    query = dns.message.make_query("cluster.local.", "A").to_wire()
    packet = query[:-4] + dns.rdatatype.from_text(type_).to_bytes(2, "big") + query[-2:]
    sent: list[bytes] = []
    responder.respond(packet, lambda answer, **_: sent.append(answer))
    assert sent[0][3] & 15 == dns.rcode.REFUSED


@pytest.mark.parametrize("class_", ["CH", "HS", "ANY", "NONE"])
async def test_other_classes_are_refused(responder: Responder, class_: str) -> None:
    query = dns.message.make_query("cluster.local.", "SOA", rdclass=class_)
    sent: list[bytes] = []
    responder.respond(query.to_wire(), lambda answer, **_: sent.append(answer))
    assert sent[0][3] & 15 == dns.rcode.REFUSED


@pytest.mark.parametrize(
    "name",
    [
        "svc1.testns.svc.cluster.local.",
        "nope.cluster.local.",
        "1.0.0.10.in-addr.arpa.",
        "8.8.8.8.in-addr.arpa.",
    ],
)
async def test_before_everything_is_known_nothing_is_denied(name: str) -> None:
    reply = ask(responder_of(Zone("cluster.local", 5)), name, "PTR" if "arpa" in name else "A", edns=0)
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert [option.otype for option in reply.options] == [dns.edns.OptionType.EDE]


async def test_another_cluster_domain() -> None:
    zone = Zone("k8s.example.org", 30)
    put(zone, service("svc1", "10.0.0.1"))
    zone.synced = True
    responder = responder_of(zone)
    (answer,) = ask(responder, "svc1.testns.svc.k8s.example.org.").answer
    assert answer.to_text() == "svc1.testns.svc.k8s.example.org. 30 IN A 10.0.0.1"
    assert ask(responder, "svc1.testns.svc.cluster.local.").rcode() == dns.rcode.REFUSED
