"""``resolv.conf`` and ``/etc/hosts`` by a Pod's spec."""

from __future__ import annotations

from typing import Any

import pytest

from clusterip.node.sandbox.dns import Resolver, limited, parse, problems_of, resolver_for
from clusterip.node.sandbox.hosts import hosts_file, kernel_hostname
from clusterip.objects import codec
from clusterip.objects.core.pod import Pod

HOST = Resolver(["192.0.2.1", "192.0.2.2"], ["example.com"], ["timeout:3"])
OWN = ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local"]


def pod(**spec: Any) -> Pod:
    return codec.convert({"metadata": {"name": "web-0", "namespace": "ns"}, "spec": spec}, Pod)


def resolver(**spec: Any) -> Resolver:
    return limited(resolver_for(pod(**spec), servers=["10.96.0.10"], domain="cluster.local", host=HOST))


def test_cluster_first_puts_the_clusters_domains_before_the_hosts() -> None:
    assert resolver() == Resolver(["10.96.0.10"], [*OWN, "example.com"], ["ndots:5"])


def test_default_is_the_hosts_own() -> None:
    assert resolver(dnsPolicy="Default") == HOST


def test_cluster_first_in_the_hosts_network_means_default() -> None:
    assert resolver(hostNetwork=True) == HOST
    with_host_net = resolver(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet")
    assert with_host_net.nameservers == ["10.96.0.10"]


def test_none_has_only_what_the_pod_says() -> None:
    config = {"nameservers": ["1.1.1.1"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "1"}]}
    assert resolver(dnsPolicy="None", dnsConfig=config) == Resolver(["1.1.1.1"], ["a.b"], ["ndots:1"])


def test_the_pods_options_win_and_nothing_is_named_twice() -> None:
    config = {
        "nameservers": ["10.96.0.10", "1.1.1.1", "2.2.2.2", "3.3.3.3"],
        "searches": ["example.com", "more.example"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    found = resolver(dnsConfig=config)
    assert found.nameservers == ["10.96.0.10", "1.1.1.1", "2.2.2.2"]
    assert found.searches == [*OWN, "example.com", "more.example"]
    assert found.options == ["ndots:2", "edns0"]


def test_reading_a_resolv_conf() -> None:
    text = "; comment\nsearch old\nnameserver 192.0.2.1 # first\nsearch a. b\noptions ndots:2 rotate\n\n"
    assert parse(text) == Resolver(["192.0.2.1"], ["a", "b"], ["ndots:2", "rotate"])
    assert str(parse(text)) == "search a b\nnameserver 192.0.2.1\noptions ndots:2 rotate\n"


def test_the_hosts_file_names_the_pod() -> None:
    text = hosts_file(pod(subdomain="db"), ["10.244.0.5"], "cluster.local")
    assert text.splitlines()[0] == "# Kubernetes-managed hosts file."
    assert text.splitlines()[-1] == "10.244.0.5\tweb-0.db.ns.svc.cluster.local\tweb-0"


def test_host_aliases_come_last() -> None:
    alias = {"ip": "192.0.2.9", "hostnames": ["a", "b"]}
    text = hosts_file(pod(hostAliases=[alias]), ["10.244.0.5"], "cluster.local")
    assert text.endswith("10.244.0.5\tweb-0\n\n# Entries added by HostAliases.\n192.0.2.9\ta\tb\n")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({}, "web-0"),
        ({"hostname": "own"}, "own"),
        ({"hostname": "own", "subdomain": "db"}, "own"),
        (
            {"hostname": "own", "subdomain": "db", "setHostnameAsFQDN": True},
            "own.db.ns.svc.cluster.local",
        ),
        ({"hostNetwork": True}, "node-1"),
    ],
)
def test_what_hostname_says(spec: dict[str, Any], name: str) -> None:
    assert kernel_hostname(pod(**spec), "cluster.local", "node-1") == name


def problems(servers: list[str], **spec: Any) -> dict[str, str]:
    found = pod(**spec)
    return problems_of(found, resolver_for(found, servers=servers, domain="c.local", host=HOST), servers)


def test_what_a_pod_cannot_have_is_said() -> None:
    assert problems(["10.96.0.10"]) == {}
    assert problems([], hostNetwork=True) == {}
    assert 'using "ClusterFirst" policy. Falling back' in problems([])["MissingClusterDNS"]
    many = {"nameservers": ["1.1.1.1", "2.2.2.2", "3.3.3.3"]}
    message = problems(["10.96.0.10"], dnsConfig=many)["DNSConfigForming"]
    assert message.endswith("the applied nameserver line is: 10.96.0.10 1.1.1.1 2.2.2.2")
    long = {"searches": [f"{number}.{'x' * 60}.example" for number in range(40)]}
    assert problems(["10.96.0.10"], dnsConfig=long)["DNSConfigForming"].startswith("Search Line limits")


def test_a_name_in_full_that_is_too_long_is_no_name() -> None:
    with pytest.raises(OSError, match=r"is too long \(64 characters is the max, 7\d characters requested\)"):
        kernel_hostname(
            pod(subdomain="s" * 40, hostname="h" * 10, setHostnameAsFQDN=True), "cluster.local", "node"
        )
