"""What `nft` makes of our tables: it can list them, and what it prints can be understood."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from conftest import started

from clusterip.kernel import namespaces
from clusterip.proxy.nftables.sets import SMALL
from tests.support.proxy_objects import NODE, endpoint, service, slice_of


def nft(namespace: Path, *arguments: str) -> str:
    return namespaces.run_in(
        namespace,
        lambda: subprocess.run(["nft", *arguments], check=True, capture_output=True, text=True).stdout,
    )


async def test_everything_can_be_listed(namespace: Path) -> None:
    world = await started(namespace)
    await world.apply(
        service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}], externalTrafficPolicy="Local"),
        slice_of("web", *(endpoint(f"10.244.1.{n}", NODE if n < 5 else "node-2") for n in range(2, 9))),
        service(
            "sticky",
            "10.96.0.11",
            type="LoadBalancer",
            ingress=["198.51.100.2"],
            sessionAffinity="ClientIP",
            loadBalancerSourceRanges=["192.0.2.0/24", "203.0.113.7/32"],
        ),
        slice_of("sticky", endpoint("10.244.1.2")),
        service(
            "six",
            ("10.96.0.13", "fd00:96::13"),
            type="LoadBalancer",
            ingress=["2001:db8::2"],
            sessionAffinity="ClientIP",
            externalTrafficPolicy="Local",
            loadBalancerSourceRanges=["2001:db8:1::/48", "2001:db8:2::1/128"],
        ),
        slice_of("six", endpoint("fd00:244::1"), family="IPv6"),
        service("large", "10.96.0.14"),
        slice_of("large", *(endpoint(f"10.244.3.{n}") for n in range(1, SMALL + 2))),
        service("none", "10.96.0.12"),
    )
    listing = nft(namespace, "list", "ruleset")
    assert "dnat ip to meta priority & f:ffff . numgen random mod 7 map @endpoints" in listing
    assert "dnat ip6 to" in listing
    assert f"numgen random mod {SMALL + 1} map @large" in listing
    assert "ip saddr & 255.255.255.0 @allowed-24 accept" in listing
    assert "ip6 saddr & ffff:ffff:ffff:: @allowed-48 accept" in listing
    assert "10.96.0.12 . tcp . 80" in nft(namespace, "list", "set", "ip", "clusterip", "rejected")
    assert len(json.loads(nft(namespace, "-j", "list", "ruleset"))["nftables"]) > 100
    world.close()


async def test_elements_read_like_what_they_are(namespace: Path) -> None:
    world = await started(namespace)
    await world.apply(service(), slice_of("web", endpoint("10.244.1.2")))
    services = nft(namespace, "get", "element", "ip", "clusterip", "services", "{ 10.96.0.10 . tcp . 80 }")
    assert "10.96.0.10 . tcp . 80 : 10:2" in services
    dispatch = nft(namespace, "list", "map", "ip", "clusterip", "dispatch")
    assert "10:0 : goto pick.1" in dispatch
    assert "8010:0 : goto pick.1.masquerade" in dispatch
    endpoints = nft(namespace, "list", "map", "ip", "clusterip", "endpoints")
    assert "0:2 . 0x00000000 : 10.244.1.2 . 8080" in endpoints
    world.close()
