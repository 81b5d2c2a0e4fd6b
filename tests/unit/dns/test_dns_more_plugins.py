"""The smaller plugins of a Corefile, asked as parts of a chain (coredns ``plugin/*/README.md``)."""

from __future__ import annotations

import asyncio
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import pytest
from test_dns_plugins import ADDRESS, ask, end, question, server

from clusterip.dns import message, names
from clusterip.dns.config.model import Consolidation
from clusterip.dns.config.source import BadConfig
from clusterip.dns.dns64 import dns64
from clusterip.dns.forward import Forwarder
from clusterip.dns.lookup import Found
from clusterip.dns.message import AAAA, AXFR, CNAME, HINFO, NS, PTR, SRV, A, Query, Record, Reply
from clusterip.dns.plugins import small
from clusterip.dns.plugins.chain import Handler, Outcome, settled
from clusterip.dns.plugins.errors import ErrorLog
from clusterip.dns.plugins.hosts import hosts
from clusterip.dns.plugins.loadbalance import loadbalance
from clusterip.dns.plugins.local import local
from clusterip.dns.plugins.log import line
from clusterip.dns.plugins.metadata import metadata
from clusterip.dns.plugins.rewrite import rewrite
from clusterip.dns.plugins.template import template
from clusterip.dns.plugins.transfer import transfer
from clusterip.dns.question import parse_query
from clusterip.dns.wire import Pod, PodMetadata
from clusterip.dns.zone import Zone

WIRE = names.to_wire


def answering(reply: Reply) -> Handler:
    return lambda query: Found(reply, lasting=True)


def with_edns(name: str, *options: tuple[int, bytes], client: str = "192.0.2.77") -> Query:
    asked: list[dns.edns.Option] = [
        dns.edns.GenericOption(dns.edns.OptionType.make(code), data) for code, data in options
    ]
    query = parse_query(dns.message.make_query(name, "A", use_edns=0, options=asked).to_wire())
    query.client, query.port, query.local, query.local_port = client, 40212, "192.0.2.53", 53
    return query


def told(packed: bytes) -> dict[int, bytes]:
    """EDNS options by code."""
    found = {}
    while packed:
        code, length = struct.unpack_from("!HH", packed)
        found[code] = packed[4 : 4 + length]
        packed = packed[4 + length :]
    return found


@pytest.mark.parametrize(
    ("rules", "sent", "forwarded", "echoed"),
    [
        ("local set 0xffee abcd", {}, {0xFFEE: b"abcd"}, {0xFFEE: b"abcd"}),
        ("local set 0xffee 0x61626364", {0xFFEE: b"x"}, {0xFFEE: b"abcd"}, {0xFFEE: b"abcd"}),
        ("local append 0xffee new", {0xFFEE: b"old"}, {}, {}),
        ("local append 0xffee new", {}, {0xFFEE: b"new"}, {0xFFEE: b"new"}),
        ("local replace 0xffee new", {}, {}, {}),
        ("local replace 0xffee new", {0xFFEE: b"old"}, {0xFFEE: b"new"}, {0xFFEE: b"new"}),
        ("local unset 0xffee", {0xFFEE: b"old", 5: b"y"}, {5: b"y"}, {5: b"y"}),
        ("local set 0xffee abcd revert", {}, {0xFFEE: b"abcd"}, {}),
        ("local set 0xffee abcd revert", {0xFFEE: b"old"}, {0xFFEE: b"abcd"}, {0xFFEE: b"old"}),
        ("local set 1 {qname}", {}, {1: b"a.test."}, {1: b"a.test."}),
        ("local set 1 {qtype}", {}, {1: b"\0\1"}, {1: b"\0\1"}),
        ("local set 1 {client_ip}", {}, {1: bytes((192, 0, 2, 77))}, {1: bytes((192, 0, 2, 77))}),
        ("local set 1 {server_ip}", {}, {1: bytes((192, 0, 2, 53))}, {1: bytes((192, 0, 2, 53))}),
        ("local set 1 {client_port}", {}, {1: b"\x9d\x14"}, {1: b"\x9d\x14"}),
        ("local set 1 {protocol}", {}, {1: b"udp"}, {1: b"udp"}),
        ("local set 1 {some/label}", {}, {1: b""}, {1: b""}),
        ("nsid set", {}, {3: b""}, {}),
        ("subnet set 24 56", {}, {8: b"\0\1\x18\0\xc0\0\2"}, {8: b"\0\1\x18\0\xc0\0\2"}),
        ("subnet unset", {8: b"\0\1\x18\0\xc0\0\2"}, {}, {}),
    ],
)
async def test_edns_options(
    rules: str, sent: dict[int, bytes], forwarded: dict[int, bytes], echoed: dict[int, bytes]
) -> None:
    seen: list[Query] = []

    def last(query: Query) -> Outcome:
        seen.append(query)
        return Found(Reply(answer=[Record(query.name, A, 5, ADDRESS)]))

    handler = rewrite(server("rewrite edns0 " + rules).rewrites, last, last)
    found = await settled(handler(with_edns("a.test", *sent.items())))
    assert told(seen[0].forwarded) == forwarded
    assert told(found.options) == echoed
    assert not found.keep or not forwarded


async def test_options_make_a_question_of_its_own_to_upstreams() -> None:
    forwarder = Forwarder(list)
    one, other = with_edns("a.test"), with_edns("a.test")
    other.forwarded = b"\0\1\0\0"
    from clusterip.dns.forward import _key

    assert _key(one.name, one) != _key(other.name, other)
    await forwarder.close()


@pytest.mark.parametrize("later", [False, True])
async def test_targets_of_aliases(later: bool) -> None:
    """What precedes the target stays, what follows it is looked up anew."""
    chain = Reply(
        answer=[
            Record(WIRE("my-app.com"), CNAME, 200, WIRE("my-app.example")),
            Record(WIRE("my-app.example"), CNAME, 200, WIRE("my-app.com.cdn.example.net")),
            Record(WIRE("my-app.com.cdn.example.net"), A, 300, bytes((20, 2, 0, 1))),
        ]
    )
    root = end({"my-app.com.other.cdn.com": ADDRESS}, later=later)
    rules = server("rewrite cname regex (.*).cdn.example.net. {1}.other.cdn.com.").rewrites
    found = await settled(rewrite(rules, root, answering(chain))(question("my-app.com.")))
    assert [(r.owner, r.type, r.rdata) for r in found.reply.answer] == [
        (WIRE("my-app.com"), CNAME, WIRE("my-app.example")),
        (WIRE("my-app.example"), CNAME, WIRE("my-app.com.other.cdn.com")),
        (WIRE("my-app.com.other.cdn.com"), A, ADDRESS),
    ]
    exact = server("rewrite cname exact nothing.test other.test").rewrites
    same = await settled(rewrite(exact, root, answering(chain))(question("my-app.com.")))
    assert same.reply.answer == chain.answer


async def test_the_way_back_of_a_rewritten_name_is_for_names_in_data_too() -> None:
    def last(query: Query) -> Outcome:
        assert query.name == WIRE("svc.consul.test")
        data = b"\0\0\0\1\0\x50" + WIRE("host.svc.consul.test")
        return Found(Reply(answer=[Record(query.name, SRV, 5, data)]))

    for rule in ("name exact svc.a.test svc.consul.test", "name suffix .a.test .consul.test answer auto"):
        handler = rewrite(server("rewrite " + rule).rewrites, last, last)
        found = await settled(handler(question("svc.a.test.")))
        (record,) = found.reply.answer
        assert record.owner == WIRE("svc.a.test")
        assert record.rdata[6:] == WIRE("host.svc.a.test")


async def test_header_flags() -> None:
    rules = server("header {\n query clear rd\n response set aa\n response clear rd ra\n}").headers
    seen: list[int] = []

    def last(query: Query) -> Outcome:
        seen.append(query.flags)
        return Found(Reply(answer=[Record(query.name, A, 5, ADDRESS)]))

    query = question("a.test.")
    found = await settled(small.header(rules, last)(query))
    assert not seen[0] & message.RD
    flags = message.flags_of(query, found.reply)
    assert (flags & message.AA, flags & message.RD, flags & message.RA) == (message.AA, 0, 0)


async def test_minimal_any_and_bufsize() -> None:
    full = Reply(
        answer=[Record(b"\1a\0", A, 5, ADDRESS)],
        authority=[Record(b"\0", NS, 5, b"\1n\0")],
        additional=[Record(b"\1n\0", A, 5, ADDRESS)],
    )
    found = await settled(small.minimal(answering(full))(question("a.")))
    assert (found.reply.authority, found.reply.additional) == ((), ())
    referral = Reply(authority=[Record(b"\0", NS, 5, b"\1n\0")])
    assert (await settled(small.minimal(answering(referral))(question("a.")))).reply.authority
    handler = small.no_any(answering(full))
    (record,) = (await settled(handler(question("a.", "ANY")))).reply.answer
    assert (record.type, record.ttl) == (HINFO, 8482)
    assert len((await settled(handler(question("a.")))).reply.answer) == 1
    query = with_edns("a.test")
    query.udp_size = 4096
    small.bufsize(1100, answering(full))(query)
    assert query.udp_size == 1100


@pytest.mark.parametrize(
    ("client", "type_", "rdata"),
    [("10.240.0.1", A, bytes((10, 240, 0, 1))), ("::ffff:10.240.0.1", A, bytes((10, 240, 0, 1))),
     ("2001:db8::1", AAAA, bytes.fromhex("20010db8000000000000000000000001"))],
)  # fmt: skip
def test_whoami(client: str, type_: int, rdata: bytes) -> None:
    query = with_edns("example.org", client=client)
    found = small.whoami(query)
    address, port = found.reply.additional
    assert found.reply.answer == ()
    assert (address.type, address.rdata) == (type_, rdata)
    assert port == Record(WIRE("_udp.example.org"), SRV, 0, b"\0\0\0\0\x9d\x14\0")
    assert not found.keep


@pytest.mark.parametrize(
    ("name", "type_", "rcode", "answer"),
    [
        ("localhost.", "A", 0, bytes((127, 0, 0, 1))),
        ("localhost.", "AAAA", 0, bytes(15) + b"\1"),
        ("a.b.localhost.", "A", 0, bytes((127, 0, 0, 1))),
        ("localhost.", "TXT", 0, None),
        ("localhost.corp.test.", "A", 0, bytes((127, 0, 0, 1))),
        ("1.0.0.127.in-addr.arpa.", "PTR", 0, WIRE("localhost")),
        ("1.0.0.127.in-addr.arpa.", "A", 0, None),
        ("127.in-addr.arpa.", "NS", 0, WIRE("localhost")),
        ("2.0.0.127.in-addr.arpa.", "PTR", 3, None),
        ("255.in-addr.arpa.", "A", 0, None),
    ],
)
async def test_local_names(name: str, type_: str, rcode: int, answer: bytes | None) -> None:
    handler = local(end({}), prefixes=True)
    reply = (await settled(handler(question(name, type_)))).reply
    assert reply.rcode == rcode
    assert [record.rdata for record in reply.answer] == ([] if answer is None else [answer])
    assert bool(reply.authority) == (answer is None)


async def test_local_names_and_no_prefixes() -> None:
    assert server("local {\n localhost_prefix off\n}").local == "names"
    handler = local(end({"localhost.corp.test": ADDRESS}), prefixes=False)
    assert await ask(handler, question("localhost.corp.test.")) == ["localhost.corp.test. 300"]


ADDRESSES = [bytes((10, 0, 0, number)) for number in (1, 2, 3)]


async def test_preferred_networks_come_first() -> None:
    options = server("loadbalance round_robin {\n prefer 10.0.0.3 10.0.0.2\n}").loadbalance
    assert options is not None
    reply = Reply(answer=[Record(b"\1a\0", A, 5, each) for each in ADDRESSES])
    handler = loadbalance(options, answering(reply))
    answers = [(await settled(handler(question("a.")))).reply.answer for _ in range(100)]
    firsts = Counter(answer[0].rdata[-1] for answer in answers)
    assert set(firsts) == {2, 3}
    assert not (await settled(handler(question("a.")))).keep


async def test_weights(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_text("# of a\na.test\n10.0.0.1 200\n10.0.0.2 1\n\nother.test\n10.0.0.3 255\n")
    options = server(f"loadbalance weighted {file} {{\n reload 0\n}}").loadbalance
    assert options is not None
    reply = Reply(answer=[Record(WIRE("a.test"), A, 5, each) for each in ADDRESSES])
    handler = loadbalance(options, answering(reply))
    found = [(await settled(handler(question("a.test.")))).reply.answer for _ in range(200)]
    firsts = Counter(answer[0].rdata[-1] for answer in found)
    assert firsts[1] > 150  # of 202 parts it has 200
    assert all(len(answer) == 3 for answer in found)
    file.write_text("a.test\n10.0.0.1 256\n")
    with pytest.raises(BadConfig, match=r"weights:2: a weight is a number from 1 to 255"):
        loadbalance(options, answering(reply))


async def test_hosts_with_wildcards_and_types_that_are_not_theirs() -> None:
    text = "hosts /nonexistent {\n 10.0.0.1 *.w.test a.w.test\n 10.0.0.2 b.w.test\n fallthrough\n"
    options = server(text + " fallthrough_unsupported\n}").hosts
    assert options is not None
    handler = hosts(options, end({"b.w.test": b"\1x"}))
    assert await ask(handler, question("any.w.test.")) == ["any.w.test. 3600"]
    assert await ask(handler, question("b.w.test.")) == ["b.w.test. 3600"]
    assert (await settled(handler(question("w.test.")))).reply.rcode == message.NXDOMAIN
    assert (await settled(handler(question("x.any.w.test.")))).reply.rcode == message.NXDOMAIN
    assert await ask(handler, question("b.w.test.", "TXT")) == ["b.w.test. 300"]  # of the next plugin
    pointers = (await settled(handler(question("1.0.0.10.in-addr.arpa.", "PTR")))).reply.answer
    assert [record.rdata for record in pointers] == [WIRE("a.w.test")]


async def test_templates_with_control_structures() -> None:
    text = """template IN ANY t.test {
        match ^(?P<n>[a-f0-9]{2})[.](?P<rest>.*)t[.]test[.]$
        answer "{{ .Name }} 60 IN {{ if eq .Type `AAAA` }}AAAA ::1{{ else }}A 10.0.0.{{ parseInt .Group.n 16 8 }}{{ end }}"
        additional "{{ .Zone }} 1h IN CAA 0 issue {{ printf `%q` .Remote }}"
        authority "t.test. 60 {{ .Class }} SOA ns.t.test. h.t.test. (1 60 60 60 60)"
        ederror 21 \"not here\"
    }"""  # noqa: E501 - one line of a Corefile
    handler = template(server(text).templates[0], end({}), end({}))
    found = await settled(handler(question("7b.t.test.")))
    assert found.reply.answer[0].rdata == bytes((10, 0, 0, 0x7B))
    assert found.reply.additional[0] == Record(WIRE("t.test"), 257, 3600, b"\0\5issue127.0.0.1")
    assert found.reply.authority[0].rdata[-20:] == struct.pack("!5I", 1, 60, 60, 60, 60)
    assert (found.reply.extended_error, found.reply.why) == (21, "not here")
    assert not found.keep  # the client's address is in it
    six = await settled(handler(question("7b.t.test.", "AAAA")))
    assert six.reply.answer[0].rdata == bytes(15) + b"\1"


async def test_a_template_that_aliases_is_followed() -> None:
    text = 'template IN ANY foogle.test {\n answer "foogle.test 60 IN CNAME real.test"\n}'
    handler = template(server(text).templates[0], end({"real.test": ADDRESS}), end({}))
    assert await ask(handler, question("foogle.test.")) == ["foogle.test. 60", "real.test. 300"]
    assert await ask(handler, question("foogle.test.", "CNAME")) == ["foogle.test. 60"]


@pytest.mark.parametrize("text", ["{{ nosuch }}", "{{ if }}", "{{ .Name"])
def test_a_bad_template_is_named_when_it_is_read(text: str) -> None:
    options = server(f'template IN A {{\n answer "{text}"\n}}').templates[0]
    with pytest.raises(BadConfig, match=r"^Corefile:2: template: "):
        template(options, end({}), end({}))


def zone_of_two() -> Zone:
    zone = Zone("cluster.local", 5)
    zone.put_namespace("default", True)
    from dns_objects import put, service

    put(zone, service("a", "10.0.0.1", ports=[("http", 80)]))
    zone.synced = True
    return zone


@pytest.mark.parametrize(
    ("to", "client", "tcp", "type_", "rcode"),
    [
        ("*", "203.0.113.9", True, "AXFR", 0),
        ("10.0.0.1 192.0.2.0/24", "192.0.2.9", True, "AXFR", 0),
        ("10.0.0.1", "192.0.2.9", True, "AXFR", message.REFUSED),
        ("*", "203.0.113.9", False, "AXFR", message.REFUSED),
        ("*", "203.0.113.9", True, "IXFR", 0),
    ],
)
async def test_transfers(to: str, client: str, tcp: bool, type_: str, rcode: int) -> None:
    zone = zone_of_two()
    rules = server(f"transfer cluster.local {{\n to {to}\n}}").transfers
    handler = transfer(rules, [zone], end({}))
    query = question("cluster.local.", type_, client)
    query.tcp = tcp
    found = await settled(handler(query))
    assert found.reply.rcode == rcode
    if rcode:
        assert found.parts is None
        return
    assert found.parts is not None
    records = [record for part in found.parts for record in part]
    assert records[0] == records[-1] == zone.soa()
    types = Counter(record.type for record in records)
    assert types[A] == 1
    assert types[SRV] == 2
    same = question("cluster.local.", "IXFR", client)
    same.tcp, same.serial = True, zone.serial
    unchanged = await settled(handler(same))
    assert (unchanged.parts, unchanged.reply.answer) == (None, [zone.soa()])
    elsewhere = question("other.test.", "AXFR", client)
    assert (await settled(handler(elsewhere))).reply.rcode == message.REFUSED
    assert AXFR == 252


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("_http._tcp.web.ns.svc.cluster.local.",
         {"kind": "svc", "namespace": "ns", "service": "web", "port-name": "http", "protocol": "tcp"}),
        ("pod-1.web.ns.svc.cluster.local.",
         {"kind": "svc", "namespace": "ns", "service": "web", "endpoint": "pod-1"}),
        ("1-2-3-4.ns.pod.cluster.local.", {"kind": "pod", "namespace": "ns", "service": "1-2-3-4"}),
        ("x.cluster.local.", {"parse-error": "invalid query name"}),
        ("www.test.", {"kind": ""}),
    ],
)  # fmt: skip
async def test_metadata(name: str, labels: dict[str, str]) -> None:
    seen: list[Query] = []
    pod = Pod(PodMetadata("p", "ns2", labels={"app": "x"}))

    def last(query: Query) -> Outcome:
        seen.append(query)
        return Found(Reply())

    handler = metadata([b"\0"], [WIRE("cluster.local")], lambda _client: pod, last)
    await settled(handler(question(name)))
    meta = seen[0].meta
    assert meta is not None
    assert {label: meta("kubernetes/" + label) for label in labels} == labels
    assert meta("kubernetes/client-namespace") == "ns2"
    assert meta("kubernetes/client-pod-name") == "p"
    assert meta("kubernetes/client-label/app") == "x"
    assert meta("nothing/known") == ""


def test_a_log_line() -> None:
    query = with_edns("example.org", client="::1")
    query.flags |= message.CD
    reply = Reply(answer=[Record(query.name, A, 5, ADDRESS)], authentic=True)
    text = line(server("log").logs[0].format, query, reply, 0)
    number = int.from_bytes(query.id, "big")
    assert re.fullmatch(
        rf'\[::1\]:40212 - {number} "A IN example\.org\. udp {query.size} false \d+" '
        r"NOERROR qr,rd,ra,ad,cd 67 [\d.]+s",
        text,
    ), text
    places = "{local} {>opcode} {/log/class} {/log/type} {/kubernetes/service} {unknown}"
    assert line(places, query, Reply(message.NXDOMAIN), 0) == "192.0.2.53 0 denial NXDOMAIN - {unknown}"
    assert "{>opcode}" in server("log . {combined}").logs[0].format
    assert line("{/log/type}", query, Reply(), 0) == "NODATA"


class Lines(list[tuple[str, dict[str, Any]]]):
    """What was logged, by level."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def write(self, level: str, fields: dict[str, Any]) -> None:
        self.append((level, fields))
        self._more.set()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self) < count:
                self._more.clear()
                await self._more.wait()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Lines:
    found = Lines()
    for level in ("debug", "info", "warning", "error"):

        def write(_self: object, event: str, /, level: str = level, **fields: Any) -> None:
            found.write(level, {"event": event, **fields})

        monkeypatch.setattr(f"clusterip.process.log.Logger.{level}", write)
    return found


async def test_failures_are_counted_together(logged: Lines) -> None:
    timeouts, others = re.compile("timeout$"), re.compile("^Failed to ")
    errors = ErrorLog(
        [Consolidation(0.05, timeouts, "warning", show_first=True), Consolidation(0.05, others, "info")]
    )
    query = question("a.test.")
    for why in ("i/o timeout", "i/o timeout", "Failed to x", "something else", "i/o timeout"):
        errors(query, Reply(message.SERVFAIL, why=why))
    assert [(level, fields["why"]) for level, fields in logged] == [
        ("warning", "i/o timeout"),
        ("warning", "something else"),
    ]
    logged.clear()
    await logged.wait_for(2)
    assert [(level, fields["count"], fields["like"]) for level, fields in logged] == [
        ("warning", 3, "timeout$"),
        ("info", 1, "^Failed to "),
    ]
    logged.clear()
    errors(query, Reply(message.SERVFAIL, why="i/o timeout"))  # alone: said at once, and not again
    await asyncio.sleep(0.1)
    assert len(logged) == 1


@pytest.mark.parametrize(
    "prefix", ["64:ff9b::/96", "2001:db8::/32", "2001:db8:122:344::/64", "2001:db8:100::/40"]
)
async def test_addresses_that_were_made_up_have_names(prefix: str) -> None:
    """RFC 6147 section 5.3.1: an alias to the name of the IPv4 address."""
    options = server(f"dns64 {prefix}").dns64
    assert options is not None
    from clusterip.dns.dns64 import _embed

    six = _embed(options, bytes((192, 0, 2, 33)))
    inner = WIRE("33.2.0.192.in-addr.arpa")

    def last(query: Query) -> Outcome:
        if query.name != inner:
            return Found(Reply(message.NXDOMAIN))
        return Found(Reply(answer=[Record(inner, PTR, 300, WIRE("www.example.test"))]))

    handler = dns64(options, last)
    name = names.to_text(names.reverse_name(six))
    answer = (await settled(handler(question(name, "PTR")))).reply.answer
    assert [(record.type, record.rdata) for record in answer] == [
        (CNAME, inner),
        (PTR, WIRE("www.example.test")),
    ]
    outside = names.to_text(names.reverse_name(bytes.fromhex("fd00" + "00" * 14)))
    assert (await settled(handler(question(outside, "PTR")))).reply.rcode == message.NXDOMAIN
