"""Corefiles and YAML into the same model."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterip.dns import names
from clusterip.dns.config.corefile import parse_corefile
from clusterip.dns.config.lexer import tokenize
from clusterip.dns.config.model import Capacity, Chaos, Config, Prefetch, Target, TcpLimits, TlsOptions
from clusterip.dns.config.servers import build, load
from clusterip.dns.config.source import BadConfig
from clusterip.dns.config.yaml import parse_yaml

KUBEADM = """
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
"""
KUBEADM_YAML = """
errors: true
health: {lameduck: 5s}
ready: true
kubernetes:
  zones: [cluster.local, in-addr.arpa, ip6.arpa]
  pods: insecure
  fallthrough: [in-addr.arpa, ip6.arpa]
  ttl: 30
prometheus: ":9153"
forward: {to: /etc/resolv.conf, max_concurrent: 1000}
cache:
  ttl: 30
  disable: success cluster.local
loop: true
reload: true
loadbalance: true
"""


def corefile(text: str) -> Config:
    return build(parse_corefile(text, "Corefile")[0])


def test_the_corefile_of_kubeadm() -> None:
    config = corefile(KUBEADM)
    (server,) = config.servers
    assert (config.health, config.ready, config.prometheus) == ((":8080",), (":8181",), (":9153",))
    assert config.lameduck == 5.0
    assert config.reload
    assert server.loop
    assert server.errors == ()
    assert (server.zones, server.port) == ((b"\0",), 53)
    assert server.kubernetes is not None
    assert server.kubernetes.domain == "cluster.local"
    assert server.kubernetes.pods == "insecure"
    assert server.kubernetes.ttl == 30
    assert server.kubernetes.reverse_zones == server.kubernetes.fallthrough
    (forward,) = server.forwards
    assert forward.targets == (Target("/etc/resolv.conf"),)
    assert forward.max_concurrent == 1000
    assert server.cache is not None
    assert server.cache.success == Capacity(max_ttl=30)
    assert [kind for kind, _ in server.cache.disable] == ["success", "denial"]


def test_yaml_says_the_same() -> None:
    (ours,) = build(parse_yaml(KUBEADM_YAML, "dns.yaml")).servers
    (server,) = corefile(KUBEADM).servers
    assert ours.kubernetes == server.kubernetes
    assert ours.forwards[0].targets == server.forwards[0].targets
    assert ours.loop
    assert ours.cache is not None
    assert ours.cache.success.max_ttl == 30


def test_yaml_with_several_servers_and_repeated_plugins() -> None:
    text = """
servers:
- zones: [.]
  port: 1053
  rewrite:
  - name exact a.test b.test
  - continue name suffix .c.test .d.test answer auto
  hosts: {ttl: 60, inline: [192.0.2.1 a.test b.test], fallthrough: true}
  forward: {to: [10.0.0.1, "10.0.0.2:5353"], policy: sequential}
  template: {class: IN, type: A, zones: [x.test], answer: ["{{ .Name }} 60 IN A 10.0.0.1"]}
  reload: false
- zones: [corp.test]
  forward: {to: 10.1.0.1}
"""
    first, second = build(parse_yaml(text, "dns.yaml")).servers
    assert first.port == 1053
    assert [rule.match.text for rule in first.rewrites] == ["a.test.", ".c.test."]
    assert [rule.go_on for rule in first.rewrites] == [False, True]
    assert first.hosts is not None
    assert first.hosts.lines == ("192.0.2.1 a.test b.test",)
    assert first.hosts.ttl == 60
    assert first.forwards[0].policy == "sequential"
    assert first.templates[0].answer == ("{{ .Name }} 60 IN A 10.0.0.1",)
    assert second.zones == (names.to_wire("corp.test"),)
    assert second.forwards[0].targets == (Target("10.1.0.1"),)


def test_words_quotes_comments_and_variables() -> None:
    text = 'a "b c" # no\n#no\nd#e "say \\"x\\"" {$HOME} {%HOME%}x "{"'
    tokens = tokenize(text, "f", {"HOME": "/h"})
    assert [token.text for token in tokens] == ["a", "b c", "d#e", 'say "x"', "/h", "/hx", "{"]
    assert [token.first for token in tokens] == [True, False, True, False, False, False, False]
    assert tokens[-1].quoted


def test_snippets_and_imported_files(tmp_path: Path) -> None:
    (tmp_path / "common.conf").write_text("errors\nlog\n")
    (tmp_path / "custom-1.server").write_text("corp.test {\n forward . 10.0.0.9\n}\n")
    main = tmp_path / "Corefile"
    main.write_text(
        "(snip) {\n cache 30\n}\n"
        ".:53, example.test:53 {\n import snip\n import common.conf\n forward . 10.0.0.1\n}\n"
        "import custom-*.server\nimport nothing-*.override\n"
    )
    config = load(str(main))
    assert [server.zones for server in config.servers] == [
        (b"\0", names.to_wire("example.test")),
        (names.to_wire("corp.test"),),
    ]
    assert config.servers[0].errors == ()
    assert config.servers[0].cache is not None
    assert len(config.files) == 3


def test_keys_of_a_block() -> None:
    config = corefile("10.0.0.0/15:1053 tls://x.test x.test {\n}\n")
    found = {(server.scheme, server.port): server.zones for server in config.servers}
    assert found == {
        ("dns", 1053): (names.to_wire("0.10.in-addr.arpa"), names.to_wire("1.10.in-addr.arpa")),
        ("tls", 853): (names.to_wire("x.test"),),
        ("dns", 53): (names.to_wire("x.test"),),
    }
    assert corefile("x.test\nerrors\nlog\n").servers[0].errors == ()  # without braces all is one block


def test_an_interface_stands_for_its_addresses() -> None:
    assert "127.0.0.1" in corefile(". {\n bind lo\n}\n").servers[0].bind
    assert corefile(". {\n bind 10.0.0.1 ::1\n}\n").servers[0].bind == ("10.0.0.1", "::1")


def test_options_of_forward_and_cache() -> None:
    text = """. {
    forward . tls://1.1.1.1 tls://9.9.9.9 {
        except a.test b.test
        policy round_robin
        max_fails 0
        health_check 1s no_rec domain example.org
        force_tcp
        expire 20s
        tls_servername q.test
    }
    cache {
        success 5000 600 10
        denial 2500
        prefetch 5 2m 20%
        serve_stale 2h verify
        servfail 1s
    }
}"""
    (server,) = corefile(text).servers
    (forward,) = server.forwards
    assert forward.targets == (Target("1.1.1.1", True), Target("9.9.9.9", True))
    assert forward.excepted == (names.to_wire("a.test"), names.to_wire("b.test"))
    assert (forward.policy, forward.max_fails, forward.health_check) == ("round_robin", 0, 1.0)
    assert (forward.health_check_recursive, forward.health_check_domain) == (False, "example.org")
    assert (forward.force_tcp, forward.expire, forward.tls_servername) == (True, 20.0, "q.test")
    assert server.cache is not None
    assert server.cache.success == Capacity(5000, 600, 10)
    assert server.cache.denial == Capacity(2500, 1800, 5)
    assert server.cache.prefetch == Prefetch(5, 120.0, 20)
    assert (server.cache.serve_stale, server.cache.serve_stale_refresh) == (7200.0, "verify")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (". {\n dnssec\n}", 'Corefile:2: CoreDNS\'s plugin "dnssec" is not understood here; known are acl'),
        (". {\n nonsense\n}", 'Corefile:2: there is no plugin "nonsense" here; known are acl'),
        (". {\n cache 30\n cache 60\n}", "Corefile:3: cache: it is there already, at Corefile:2"),
        (". {\n errors", 'Corefile:1: "{" is never closed'),
        ("}", 'Corefile:1: "}" where a server block should begin'),
        (". { errors }", "belongs on a line of its own"),
        ('. {\n errors "x\n}', "never closed"),
        (". {\n forward .\n}", "Corefile:2: forward: needs a zone and where to ask"),
        (". {\n forward . 1.1.1.1 {\n  polcy random\n }\n}", "Corefile:3: polcy: forward has no such option"),
        (". {\n kubernetes {\n }\n}", "a cluster domain is needed"),
        (". {\n kubernetes a.test {\n  ttl 3601\n }\n}", "not a number from 0 to 3600"),
        (". {\n cache {\n  prefetch 1 10x\n }\n}", '"10x" is not a duration'),
        (". {\n rewrite name regex ( x\n}", "not a regular expression"),
        (". {\n rewrite color a b\n}", '"color" cannot be rewritten'),
        (". {\n rewrite edns0 local set x 2\n}", '"x" is no code of an option'),
        (". {\n rewrite edns0 subnet set 33 56\n}", '"33" is not a number from 0 to 32'),
        (". {\n rewrite edns0 local set 1 {nothing}\n}", "{nothing} is not known"),
        (". {\n template IN A {\n expr true\n }\n}", "Corefile:3: expr: expressions are not understood"),
        (". {\n view a {\n }\n}", 'CoreDNS\'s plugin "view" is not understood here'),
        (". {\n tls {\n acme a.test\n }\n}", "not obtained by ACME"),
        (". {\n kubernetes c {\n zonal\n noendpoints\n }\n}", "zonal names are made of endpoints"),
        (". {\n kubernetes c {\n multicluster d\n }\n}", "d is not one of the zones"),
        (". {\n kubernetes c {\n namespaces a\n namespace_labels b\n }\n}", "exclude each other"),
        (". {\n forward . https://1.1.1.1\n}", "only dns:// and tls:// can be forwarded to"),
        (". {\n forward . tls://1.1.1.1%a.test {\n tls_servername b\n }\n}", "tls_servername beside a name"),
        (". {\n forward . 1.1.1.1 {\n failover NOERROR\n }\n}", "NOERROR is no failure"),
        (". {\n header {\n response set xx\n }\n}", '"xx" is no flag; known are AA, RA, RD'),
        (". {\n errors {\n consolidate 1s a loud\n }\n}", '"loud" is no level'),
        (". {\n transfer {\n }\n}", "who may have the zone is missing"),
        (". {\n bufsize 100\n}", '"100" is not a number from 512 to 4096'),
        (". {\n timeouts {\n idle 0\n }\n}", "from 1s to 24h"),
        (". {\n}\n. {\n}", "the same zone and port as the server block at Corefile:1"),
        (". {\n import nowhere\n}", "neither a snippet"),
        ("(a) {\n import a\n}\n. {\n import a\n}", "do they import each other"),
        (". {\n bind 300.1.1.1\n}", "neither an address nor an interface"),
        ("https://. {\n}", "only dns:// and tls:// are served"),
        ("", "no server block"),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, why: str) -> None:
    with pytest.raises(BadConfig) as caught:
        corefile(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kubernetes: [", "dns.yaml:1: "),
        ("errors: true\nnosuch: 1\n", 'dns.yaml:2: there is no plugin "nosuch"'),
        ("errors: true\nerrors: true\n", "dns.yaml:2: errors is there twice"),
        ("forward:\n  to: 10.0.0.1\n  policy: sometimes\n", 'dns.yaml:3: policy: "sometimes"'),
        ("servers: 3\n", "dns.yaml:1: servers is a list"),
        ("- a\n", "dns.yaml:1: keys with values expected"),
        ("", "dns.yaml:1: empty"),
    ],
)
def test_mistakes_in_yaml(text: str, why: str) -> None:
    with pytest.raises(BadConfig) as caught:
        build(parse_yaml(text, "dns.yaml"))
    assert why in str(caught.value)


@given(st.text(alphabet='.{}"\\#()\n ,:abcachefwrd30', max_size=80))
def test_whatever_is_in_a_file_it_is_read_or_explained(text: str) -> None:
    for read in (lambda: corefile(text), lambda: build(parse_yaml(text, "dns.yaml"))):
        with contextlib.suppress(BadConfig):  # and nothing else
            read()


def test_all_plugins_of_a_corefile() -> None:
    """Each of them once, as their documentation has it."""
    text = """. {
        bind 127.0.0.1 ::1 10.0.0.1 {
            except ::1
        }
        nsid Use The Force
        bufsize 1100
        chaos CoreDNS-001 a@b.test c@d.test
        any
        minimal
        whoami
        local
        metadata example.test
        root /config
        tls cert.pem key.pem ca.pem {
            client_auth require_and_verify
        }
        timeouts {
            read 15s
            idle 1m
            maxtcpqueries 128
        }
        header {
            query set rd
            response clear ra
            response set aa
        }
        errors {
            stacktrace
            consolidate 5m ".* i/o timeout$" warning show_first
            consolidate 30s "^Failed to .+"
        }
        loadbalance round_robin {
            prefer 10.9.20.0/24
        }
        transfer example.test {
            to 192.0.2.1 2001:db8::/32 [2001:db9::1]:5300
            to *
            source 2001:db8::53
        }
        ready :8181 {
            monitor continuously
        }
        ready :8182
        prometheus :9153 {
            runtime_metrics
        }
        pprof
        multisocket 4
        cancel 1s
        debug
        kubernetes cluster.local example.test clusterset.local 10.0.0.0/8 {
            multicluster clusterset.local
            zonal
            endpoint http://localhost:8080 http://other
            apiserver_qps 10.5
            startup_timeout 10s
        }
        forward . dns.example.test tls://9.9.9.9%dns.quad9.net:10853 {
            next NXDOMAIN SERVFAIL
            next_on_nodata
            failover REFUSED
            max_connect_attempts 3
            read_timeout 3s
            source_address 192.0.2.9
            resolver 10.0.0.1 [::1]:5353
            failfast_all_unhealthy_upstreams
            max_idle_conns 8
            prefer_udp
        }
        cache {
            serve_stale 1h verify 100ms 30s 20s
            serve_stale_policy prefer_positive
            keepttl
        }
    }"""
    config = corefile(text)
    (server,) = config.servers
    assert server.bind == ("127.0.0.1", "10.0.0.1")
    assert (server.nsid, server.bufsize) == ("Use The Force", 1100)
    assert server.chaos == Chaos("CoreDNS-001", ("a@b.test", "c@d.test"))
    assert (server.any, server.minimal, server.whoami, server.local) == (True, True, True, "prefixes")
    assert server.metadata == (names.to_wire("example.test"),)
    assert server.tls == TlsOptions(
        "/config/cert.pem", "/config/key.pem", "/config/ca.pem", "require_and_verify"
    )
    assert server.tcp == TcpLimits(60.0, 128)
    assert [(rule.response, rule.on, rule.flags) for rule in server.headers] == [
        (False, True, 0x0100),
        (True, False, 0x0080),
        (True, True, 0x0400),
    ]
    assert server.errors is not None
    assert [(rule.seconds, rule.level, rule.show_first) for rule in server.errors] == [
        (300.0, "warning", True),
        (30.0, "error", False),
    ]
    assert server.loadbalance is not None
    assert list(map(str, server.loadbalance.prefer)) == ["10.9.20.0/24"]
    (transfer,) = server.transfers
    assert (transfer.anyone, list(map(str, transfer.to))) == (
        True,
        ["192.0.2.1/32", "2001:db8::/32", "2001:db9::1/128"],
    )
    assert (config.ready, config.ready_continuously, config.prometheus) == (
        (":8181", ":8182"),
        True,
        (":9153",),
    )
    assert server.kubernetes is not None
    assert (server.kubernetes.domain, server.kubernetes.more_domains) == ("cluster.local", ("example.test",))
    assert server.kubernetes.multicluster == ("clusterset.local",)
    assert server.kubernetes.reverse_zones == (names.to_wire("10.in-addr.arpa"),)
    assert server.kubernetes.zonal
    assert server.kubernetes.endpoint == "http://localhost:8080"
    (forward,) = server.forwards
    assert forward.targets == (
        Target("dns.example.test"),
        Target("9.9.9.9:10853", True, "dns.quad9.net"),
    )
    assert forward.next_codes == {3, 2}
    assert forward.failover == {5}
    assert forward.next_on_nodata
    assert (forward.max_connect_attempts, forward.read_timeout) == (3, 3.0)
    assert (forward.source_address, forward.resolver) == ("192.0.2.9", ("10.0.0.1", "[::1]:5353"))
    assert server.cache is not None
    assert (server.cache.verify_timeout, server.cache.stale_ttl, server.cache.failure_recheck) == (
        0.1,
        30,
        20.0,
    )
    assert server.cache.prefer_positive


def test_the_same_as_yaml() -> None:
    text = """
bind: {addresses: [127.0.0.1, "::1"], except: "::1"}
bufsize: 1100
nsid: here
any: true
tls: {files: [c.pem, k.pem], client_auth: verify_if_given}
header: {response: [[set, aa], [clear, ra]]}
errors: {consolidate: [[5m, ".* i/o timeout$", warning], [30s, "^Failed to .+"]]}
transfer: {zones: a.test, to: [10.0.0.1, "*"]}
loadbalance: {policy: round_robin, prefer: 10.0.0.0/8}
timeouts: {idle: 1m}
"""
    (server,) = build(parse_yaml(text, "x.yaml")).servers
    assert server.bind == ("127.0.0.1",)
    assert (server.bufsize, server.nsid, server.any) == (1100, "here", True)
    assert server.tls == TlsOptions("c.pem", "k.pem", "", "verify_if_given")
    assert len(server.headers) == 2
    assert server.errors is not None
    assert [rule.pattern.pattern for rule in server.errors] == [".* i/o timeout$", "^Failed to .+"]
    assert server.transfers[0].anyone
    assert server.loadbalance is not None
    assert server.tcp.idle == 60
