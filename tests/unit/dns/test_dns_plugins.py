"""Handlers, asked as a chain of them is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import dns.message
import pytest

from clusterip.dns import message, names
from clusterip.dns.clusters import Clusters
from clusterip.dns.config.corefile import parse_corefile
from clusterip.dns.config.model import Config, ServerOptions
from clusterip.dns.config.servers import build
from clusterip.dns.lookup import Found
from clusterip.dns.message import CNAME, PTR, A, Query, Record, Reply
from clusterip.dns.plugins import small
from clusterip.dns.plugins.autopath import autopath
from clusterip.dns.plugins.chain import Handler, Outcome, settled
from clusterip.dns.plugins.compose import compose
from clusterip.dns.plugins.hosts import hosts
from clusterip.dns.plugins.log import log_queries
from clusterip.dns.plugins.rewrite import rewrite
from clusterip.dns.plugins.template import template
from clusterip.dns.plugins.text import BadRecord, parse_record
from clusterip.dns.question import parse_query

ADDRESS = bytes((192, 0, 2, 1))


def server(plugins: str) -> ServerOptions:
    return build(parse_corefile(". {\n" + plugins + "\n}\n", "Corefile")[0]).servers[0]


def question(name: str, type_: str = "A", client: str = "127.0.0.1") -> Query:
    query = parse_query(dns.message.make_query(name, type_).to_wire())
    query.client = client
    return query


def end(addresses: Mapping[str, bytes], *, later: bool = False) -> Handler:
    """The last handler: knows some names."""
    known = {names.to_wire(name): address for name, address in addresses.items()}

    def answer(query: Query) -> Found:
        address = known.get(query.name)
        if address is None:
            return Found(Reply(message.NXDOMAIN))
        return Found(Reply(answer=[Record(query.name, query.type, 300, address)]), lasting=True)

    async def answer_later(query: Query) -> Found:
        await asyncio.sleep(0)
        return answer(query)

    return answer_later if later else answer


async def ask(handler: Handler, query: Query) -> list[str]:
    found = await settled(handler(query))
    return [f"{names.to_text(record.owner)} {record.ttl}" for record in found.reply.answer]


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("rule", "asked", "answered"),
    [
        ("rewrite name a.test real.test", "A.test.", "a.test. 300"),
        ("rewrite name exact a.test real.test", "b.test.", None),
        ("rewrite name suffix .x.y .test answer auto", "real.x.y.", "real.x.y. 300"),
        ("rewrite name suffix .x.y .test", "real.x.y.", "real.test. 300"),
        ("rewrite name prefix un re answer auto", "unal.test.", "unal.test. 300"),
        ("rewrite name substring zz ea", "rzzl.test.", "real.test. 300"),
        ("rewrite name regex ^(.*)\\.re\\.gex {1}.test", "real.re.gex.", "real.test. 300"),
        (
            "rewrite name regex ^(.*)\\.re\\.gex {1}.test answer name (.*)\\.test {1}.re.gex",
            "real.re.gex.",
            "real.re.gex. 300",
        ),
        ("rewrite continue name a.test b.test\nrewrite name b.test real.test", "a.test.", "a.test. 300"),
        ("rewrite name a.test b.test\nrewrite name b.test real.test", "a.test.", None),
        ("rewrite ttl real.test 10-60", "real.test.", "real.test. 60"),
        ("rewrite ttl suffix .test 900-", "real.test.", "real.test. 900"),
        ("rewrite {\n name suffix .x .test answer auto\n }", "real.x.", "real.x. 300"),
    ],
)
async def test_rewrites(rule: str, asked: str, answered: str | None, later: bool) -> None:
    last = end({"real.test": ADDRESS}, later=later)
    handler = rewrite(server(rule).rewrites, last, last)
    assert await ask(handler, question(asked)) == ([answered] if answered else [])


async def test_rewritten_types_codes_and_values() -> None:
    rules = "rewrite type AAAA A\nrewrite rcode suffix .test NXDOMAIN NOERROR"
    continued = server(rules.replace("rewrite type", "rewrite continue type")).rewrites
    handler = rewrite(continued, end({}), end({}))
    found = await settled(handler(question("x.test.", "AAAA")))
    assert found.reply.rcode == message.NOERROR

    def pointer(query: Query) -> Outcome:
        return Found(Reply(answer=[Record(query.name, PTR, 5, names.to_wire("a.service.consul"))]))

    rule = "rewrite stop {\n name suffix .arpa .arpa\n answer name auto\n"
    rule += " answer value (.*)\\.service\\.consul\\. {1}.coredns.rocks.\n}"
    found = await settled(
        rewrite(server(rule).rewrites, pointer, pointer)(question("1.0.0.10.in-addr.arpa.", "PTR"))
    )
    assert found.reply.answer[0].rdata == names.to_wire("a.coredns.rocks")


async def test_a_rewritten_answer_is_not_kept_as_the_zones() -> None:
    last = end({"real.test": ADDRESS})
    handler = rewrite(server("rewrite name a.test real.test").rewrites, last, last)
    assert not (await settled(handler(question("a.test.")))).lasting
    assert (await settled(handler(question("real.test.")))).lasting


async def test_hosts() -> None:
    options = server("hosts /nonexistent {\n 192.0.2.1 a.test b.test\n fallthrough x.test\n}").hosts
    assert options is not None
    handler = hosts(options, end({"c.x.test": ADDRESS}))
    assert await ask(handler, question("b.test.")) == ["b.test. 3600"]
    assert await ask(handler, question("1.2.0.192.in-addr.arpa.", "PTR")) == [
        "1.2.0.192.in-addr.arpa. 3600",
        "1.2.0.192.in-addr.arpa. 3600",
    ]
    empty = await settled(handler(question("a.test.", "AAAA")))
    assert (empty.reply.rcode, empty.reply.answer) == (message.NOERROR, [])
    assert await ask(handler, question("c.x.test.")) == ["c.x.test. 300"]
    assert (await settled(handler(question("nope.test.")))).reply.rcode == message.SERVFAIL


@pytest.mark.parametrize("later", [False, True])
async def test_autopath_walks_the_search_path(later: bool) -> None:
    search = [names.to_wire(each) for each in ("ns.svc.c", "svc.c", "c")]
    known = {"in.ns.svc.c": ADDRESS, "web.other.svc.c": ADDRESS, "www.test": ADDRESS}
    handler = autopath([b"\0"], lambda _query: search, end(known, later=later))
    assert await ask(handler, question("in.ns.svc.c.")) == ["in.ns.svc.c. 300"]
    assert await ask(handler, question("web.other.ns.svc.c.")) == [
        "web.other.ns.svc.c. 300",
        "web.other.svc.c. 300",
    ]
    found = await settled(handler(question("www.test.ns.svc.c.")))
    assert [record.type for record in found.reply.answer] == [CNAME, A]
    assert not found.keep
    denied = await settled(handler(question("nope.ns.svc.c.")))
    assert (denied.reply.rcode, denied.keep) == (message.NXDOMAIN, False)
    assert (await settled(handler(question("nope.else.")))).reply.rcode == message.NXDOMAIN


async def test_templates() -> None:
    text = """template IN A t.test {
        match (^|[.])ip-(?P<a>[0-9]*)-([0-9]*)[.]t[.]test[.]$
        answer "{{ .Name }} 60 IN {{ .Type }} 10.0.{{ .Group.a }}.{{ index .Match 3 }}"
    }"""
    last = end({"other.test": ADDRESS})
    handler = template(server(text).templates[0], last, last)
    found = await settled(handler(question("ip-3-4.t.test.")))
    assert found.reply.answer[0].rdata == bytes((10, 0, 3, 4))
    assert (await settled(handler(question("x.t.test.")))).reply.rcode == message.SERVFAIL
    bad = await settled(handler(question("ip-300-4.t.test.")))
    assert bad.reply.rcode == message.SERVFAIL
    assert "Corefile:2" in bad.reply.why
    assert await ask(handler, question("other.test.")) == ["other.test. 300"]
    denying = template(server("template ANY ANY {\n rcode NXDOMAIN\n}").templates[0], last, last)
    assert (await settled(denying(question("x.", "TXT")))).reply.rcode == message.NXDOMAIN


async def test_acl_ttl_and_logs() -> None:
    last = end({"a.test": ADDRESS})
    rules = server("acl {\n allow net 10.0.0.0/8\n filter type AAAA\n drop net 192.0.2.0/24\n block\n}").acl
    handler = small.acl(rules, last)
    outcomes = {
        client: await settled(handler(question("a.test.", client=client)))
        for client in ("10.1.1.1", "::ffff:10.1.1.1", "192.0.2.9", "2001:db8::1")
    }
    assert [found.reply.rcode for found in outcomes.values()] == [0, 0, 0, message.REFUSED]
    assert outcomes["192.0.2.9"].silent
    assert not any(found.keep for found in outcomes.values())
    assert await ask(small.ttl((0, 7), last), question("a.test.")) == ["a.test. 7"]
    logged = log_queries(server("log").logs[0], last)
    assert not (await settled(logged(question("a.test.")))).keep


@pytest.mark.parametrize(
    ("text", "rdata"),
    [
        ("a.test. 60 IN A 192.0.2.1", ADDRESS),
        ("a.test. MX 10 m.test.", b"\0\x0a\1m\4test\0"),
        ('a.test. IN 5 TXT "x y" z', b"\3x y\1z"),
        ("a.test. SRV 0 1 80 m.test", b"\0\0\0\1\0\x50\1m\4test\0"),
        ("a.test. CNAME b.test.", b"\1b\4test\0"),
    ],
)
def test_records_as_text(text: str, rdata: bytes) -> None:
    assert parse_record(text).rdata == rdata


@pytest.mark.parametrize(
    "text", ["", "a.test.", "a.test. A", "a.test. A ::1", "a.test. XX A 1.2.3.4", "a.test. SRV 1 2 b."]
)
def test_texts_that_are_no_records(text: str) -> None:
    with pytest.raises(BadRecord):
        parse_record(text)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Of an API server that is not there."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        "{apiVersion: v1, kind: Config, current-context: c, users: [],"
        " clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}],"
        " contexts: [{name: c, context: {cluster: c, user: ''}}]}"
    )
    return path


STANDARD = "kubernetes cluster.local in-addr.arpa ip6.arpa {{\n fallthrough in-addr.arpa ip6.arpa\n}}\n{}"


@pytest.mark.parametrize(
    ("more", "direct"),
    [
        ("forward . 192.0.2.53\ncache 30\nloop\nreload\nloadbalance", True),
        ("forward . 192.0.2.53\nrewrite name a.test b.test", False),
        ("forward test 192.0.2.53", False),
        ("hosts {\n fallthrough\n}", False),
    ],
)
async def test_without_plugins_that_shape_there_is_no_handler(
    kubeconfig: Path, more: str, direct: bool
) -> None:
    config = Config((server(STANDARD.format(more)),))
    clusters = Clusters(str(kubeconfig), lambda _error: None).extended(config)
    composed = compose(config.servers, clusters.of, [":53"])
    await clusters.close()
    assert (composed.handler is None) == direct
    for forwarder in composed.forwarders:
        await forwarder.close()
