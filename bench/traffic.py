"""What it costs to look through connection tracking: ``python bench/traffic.py [CONNECTIONS]`` (as root).

In a network namespace of its own, with that many (100,000) UDP connections to one Service of ten endpoints.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time

from clusterip.kernel import namespaces
from clusterip.kernel.flowcounters import FlowCounters
from clusterip.kernel.nftables import Family
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.proxy.model import Choice, PortKey, PortState, ServiceKey, ServicePort, pack_destination
from clusterip.proxy.traffic import Traffic

_ADDRESS = socket.inet_aton("10.96.0.10")
_KEY = PortKey(ServiceKey("default", "dns"), "", socket.IPPROTO_UDP, Family.IPV4)
_ENDPOINTS = tuple(pack_destination(bytes((127, 0, 0, last)), 5353) for last in range(1, 11))
_RULES = """
table ip bench {
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr 10.96.0.10 udp dport 53 dnat ip to numgen inc mod 10 map { %s }
  }
}
"""


def _fill(count: int) -> None:
    sources = [f"127.0.1.{number}" for number in range(1, count // 50_000 + 2)]
    made = 0
    for source in sources:
        for port in range(10_000, 60_000):
            if made == count:
                return
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.bind((source, port))
                client.sendto(b"?", ("10.96.0.10", 53))
            made += 1


async def _measure(count: int) -> None:
    counters = FlowCounters()
    started = time.perf_counter()
    found = sum(map(len, counters.read()))
    print(f"{found} connections read in {time.perf_counter() - started:.3f} s")
    state = PortState(ServicePort(_KEY, _ADDRESS, 53), Choice(_ENDPOINTS, (), True))
    traffic = Traffic(lambda: [state], lambda: ())
    for _ in range(3):
        look = await traffic.look()
        print(f"{look.tracked} counted by endpoint in {look.seconds:.3f} s")
        await asyncio.sleep(1)
    seen = sum(each.open for each in look.counts[_KEY].values())
    assert seen == count, f"{seen} of {count}"
    traffic.close()
    counters.close()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    name = f"bench-traffic-{os.getpid()}"
    path = namespaces.create_named(name)
    try:
        with RouteSocket(path) as routes:
            routes.set_link("lo", up=True)
            routes.add_address("lo", "10.96.0.10/32")
        with namespaces.enter(path):
            elements = ", ".join(f"{n} : 127.0.0.{n + 1} . 5353" for n in range(10))
            subprocess.run(["nft", "-f", "-"], input=_RULES % elements, text=True, check=True)
            namespaces.write_sysctl("net.netfilter.nf_conntrack_udp_timeout", 3600)
            _fill(count)
            asyncio.run(_measure(count))
    finally:
        namespaces.delete_named(name)


if __name__ == "__main__":
    main()
