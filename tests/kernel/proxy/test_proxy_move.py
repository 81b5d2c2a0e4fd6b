"""Taking over from kube-proxy: connections that it made outlive its rules."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from proxy_network import NODE4, ask
from proxy_process import SERVICES, SLICES, Node, until, web, web_slice

from clusterip.kernel import namespaces
from clusterip.kernel.iptables import parse
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy.cleanup import clean_up_kube_proxy
from clusterip.proxy.cleanup.iptables import removal

FOREIGN = "10.9.9.9"

NFTABLES = """\
table {family} kube-proxy {{
    comment "rules for kube-proxy"
    set cluster-ips {{ type {type}; }}
    chain nat-prerouting {{ type nat hook prerouting priority dstnat; jump services; }}
    chain nat-output {{ type nat hook output priority -100; jump services; }}
    chain nat-postrouting {{ type nat hook postrouting priority srcnat; jump masquerading; }}
    chain filter-forward {{ type filter hook forward priority filter; ct state new jump cluster-ips-check; }}
    chain cluster-ips-check {{ {family} daddr @cluster-ips reject; }}
    chain masquerading {{ meta mark & 0x4000 != 0 meta mark set meta mark ^ 0x4000 masquerade fully-random; }}
    chain services {{ {rule} }}
}}
"""

IPTABLES = """\
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-BBBBBBBBBBBBBBBB - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -d {foreign}/32 -p tcp -j DNAT --to-destination {pod}:1
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 81 -j KUBE-SVC-AAAAAAAAAAAAAAAA
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-AAAAAAAAAAAAAAAA ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ
-A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-BBBBBBBBBBBBBBBB
-A KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m tcp -j DNAT --to-destination {pod}:9090
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
-A INPUT -j KUBE-FIREWALL
-A INPUT -m conntrack --ctstate NEW -m comment --comment "service portals" -j KUBE-EXTERNAL-SERVICES
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -s {foreign}/32 -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
COMMIT
*mangle
:KUBE-PROXY-CANARY - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
"""


def load_nftables(node: Node, pod: str) -> None:
    to_pod = (
        f"ip daddr 10.96.0.10 ip saddr != 10.244.0.0/16 meta mark set meta mark | 0x4000; "
        f"ip daddr 10.96.0.10 tcp dport 81 dnat to {pod}:9090;"
    )
    text = NFTABLES.format(family="ip", type="ipv4_addr", rule=to_pod)
    text += NFTABLES.format(family="ip6", type="ipv6_addr", rule="")
    text += f"table ip other {{\n chain c {{ ip daddr {FOREIGN} drop; }}\n}}\n"
    node.run("nft", "-f", "-", text=text)


def load_iptables(kind: str) -> Callable[[Node, str], None]:
    def load(node: Node, pod: str) -> None:
        node.run(f"iptables-{kind}-restore", text=IPTABLES.format(pod=pod, foreign=FOREIGN))
        node.run(
            f"ip6tables-{kind}-restore",
            text="*nat\n:KUBE-SERVICES - [0:0]\n-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n",
        )

    return load


def rules(node: Node) -> str:
    """Everything that filters or translates on a node, of all kinds, but for our own tables."""
    programs = [f"{family}tables-{kind}-save" for family in ("ip", "ip6") for kind in ("nft", "legacy")]
    return "".join(node.run(program) for program in programs) + node.run("nft", "list", "tables")


class Conversation:
    """A connection through a Service with a server that answers as long as it stays."""

    def __init__(self, server: Path, client: Path) -> None:
        self._listening = namespaces.open_socket(server)
        self._client = namespaces.open_socket(client)
        self._server: socket.socket | None = None

    async def open(self, address: str, port: int, at: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        for each in (self._listening, self._client):
            each.setblocking(False)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(at)
        self._listening.listen()
        async with asyncio.timeout(5):
            await loop.sock_connect(self._client, (address, port))
            self._server, _ = await loop.sock_accept(self._listening)

    async def exchange(self, text: bytes) -> None:
        """Something there and something back. Raises TimeoutError or OSError if that does not arrive."""
        assert self._server is not None
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            for source, target in ((self._client, self._server), (self._server, self._client)):
                await loop.sock_sendall(source, text)
                assert await loop.sock_recv(target, 100) == text

    def close(self) -> None:
        for each in (self._listening, self._client, self._server):
            if each is not None:
                each.close()


@pytest.mark.parametrize(
    "load",
    [load_nftables, load_iptables("nft"), load_iptables("legacy")],
    ids=["nft", "iptables-nft", "iptables-legacy"],
)
async def test_connections_stay_through_the_move(node: Node, load: Callable[[Node, str], None]) -> None:
    network = node.network
    node.add_node()
    pod = network.add_pod("here-1", 2)
    load(node, pod.ip)
    made = Conversation(pod.namespace, network.outside)
    await made.open("10.96.0.10", 81, (pod.ip, 9090))
    await made.exchange(b"through kube-proxy's rules")

    node.request("POST", SERVICES, web())
    node.request("POST", SLICES, web_slice(pod.ip))
    await node.start_proxy("--cleanup-kube-proxy")
    await until(lambda: "removed what kube-proxy left" in node.log.read_text())
    await until(lambda: "KUBE-SERVICES" not in rules(node) and "kube-proxy" not in rules(node))
    await made.exchange(b"without them")
    left = rules(node) + node.run("nft", "list", "ruleset")
    assert FOREIGN in left
    if load is not load_nftables:
        assert "KUBE-KUBELET-CANARY" in left
        assert "-j KUBE-FIREWALL" in left
        for gone in (
            "KUBE-SVC",
            "KUBE-SEP",
            "KUBE-MARK-MASQ",
            "KUBE-POSTROUTING",
            "KUBE-FORWARD",
            "KUBE-PROXY",
        ):
            assert gone not in left
    made.close()
    assert (await ask(network.outside, "10.96.0.10", 80))[0] == "here-1"


async def test_from_one_mode_of_ours_to_another(serving: Node) -> None:
    made = Conversation(serving.network.pods["here-1"].namespace, serving.network.outside)
    port = {"name": "more", "port": 81, "targetPort": 9090}
    both = {"ports": [{"name": "web", "port": 80, "targetPort": 8080}, port]}
    current = serving.request("GET", f"{SERVICES}/web")
    serving.request("PUT", f"{SERVICES}/web", current | {"spec": current["spec"] | both})
    endpoints = serving.request("GET", f"{SLICES}/web-1")
    ports = [{"name": "web", "port": 8080}, {"name": "more", "port": 9090}]
    serving.request("PUT", f"{SLICES}/web-1", endpoints | {"ports": ports})
    await until(lambda: "9090" in serving.run("nft", "list", "map", "ip", "clusterip", "endpoints"))
    await made.open("10.96.0.10", 81, ("10.244.1.2", 9090))
    serving.stop_proxy(signal.SIGTERM)
    await serving.start_proxy("--proxy-mode=iptables")
    await until(lambda: "table ip clusterip" not in serving.run("nft", "list", "tables"))
    assert "KUBE-SERVICES" in rules(serving)
    await made.exchange(b"through iptables")
    serving.stop_proxy(signal.SIGTERM)
    await serving.start_proxy("--cleanup-kube-proxy")
    await until(lambda: "KUBE-" not in rules(serving).replace("KUBE-FIREWALL", ""), serving.log.read_text)
    await made.exchange(b"through nftables again")
    made.close()


async def test_the_way_back_leaves_kube_proxy_its_rules(serving: Node) -> None:
    serving.stop_proxy(signal.SIGTERM)
    load_iptables("nft")(serving, "10.244.1.2")
    serving.run(*serving.command("--cleanup", "--proxy-mode=nftables"))
    assert "KUBE-SEP-BBBBBBBBBBBBBBBB" in rules(serving)
    assert "clusterip" not in serving.run("nft", "list", "tables")
    serving.run(*serving.command("--cleanup"))
    assert "KUBE-SEP" not in rules(serving)


async def test_both_are_removed_at_the_end(serving: Node) -> None:
    serving.stop_proxy(15)
    load_nftables(serving, "10.244.1.2")
    serving.run(*serving.command("--cleanup", "--cleanup-kube-proxy"))
    assert serving.run("nft", "list", "tables").split() == ["table", "ip", "other"]


async def test_the_interface_of_ipvs_goes(node: Node) -> None:
    with RouteSocket(node.network.node) as routes:
        routes.add_bridge("kube-ipvs0")
        routes.add_address("kube-ipvs0", "10.96.0.10/32")
    with namespaces.enter(node.network.node):
        assert clean_up_kube_proxy("ipvs")  # it would be our own in that mode
    with RouteSocket(node.network.node) as routes:
        assert routes.find_link("kube-ipvs0") is not None
    with namespaces.enter(node.network.node):
        assert clean_up_kube_proxy("nftables")
    with RouteSocket(node.network.node) as routes:
        assert routes.find_link("kube-ipvs0") is None
        assert NODE4 in {str(address.address.ip) for address in routes.addresses()}


def test_only_what_is_kube_proxys_is_removed() -> None:
    tables = parse(IPTABLES.format(pod="10.244.1.2", foreign=FOREIGN))
    chains, commands = removal("filter", tables["filter"])
    assert chains == ["KUBE-FORWARD", "KUBE-EXTERNAL-SERVICES"]
    assert commands == (
        "*filter\n:KUBE-FORWARD - [0:0]\n:KUBE-EXTERNAL-SERVICES - [0:0]\n"
        '-D INPUT -m conntrack --ctstate NEW -m comment --comment "service portals"'
        " -j KUBE-EXTERNAL-SERVICES\n"
        '-D FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD\n'
        "-X KUBE-FORWARD\n-X KUBE-EXTERNAL-SERVICES\nCOMMIT\n"
    )
    assert removal("mangle", tables["mangle"])[0] == ["KUBE-PROXY-CANARY"]
    assert len(removal("nat", tables["nat"])[0]) == 6
