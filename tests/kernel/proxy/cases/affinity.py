"""sessionAffinity: ClientIP."""

from __future__ import annotations

import asyncio

from clusterip.proxy import wire
from tests.kernel.proxy.cases.bed import Bed
from tests.kernel.proxy.cases.model import ALL, ALL_PROTOCOLS, BOTH, TCP, script
from tests.kernel.proxy.cases.place import Place

TIMES = 20
"""One of three endpoints by chance so often: once in a thousand million times."""


def _sticky(at: Place, *, seconds: int = 10_800, **spec: object) -> wire.Service:
    return at.service(
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": seconds}},
        **spec,
    )


async def _chosen(bed: Bed, client: str, address: str, port: int = 80) -> str:
    """The one endpoint that a client reaches."""
    answers = await bed.ask_often(client, address, port, TIMES)
    assert len(answers) == 1, answers
    return next(iter(answers))


@script("a client stays with its endpoint", *ALL_PROTOCOLS)
async def _stays(bed: Bed, at: Place) -> None:
    await bed.apply(_sticky(at), at.slice(*ALL))
    # The first connection chooses; those that come with it may choose before it is remembered.
    for client in ("client", "away-client", "node", "outside", "here-1"):
        name, _ = await bed.ask(client, at.service_ip())
        assert await _chosen(bed, client, at.service_ip()) == name


@script("clients choose evenly, each for itself")
async def _evenly(bed: Bed, at: Place) -> None:
    # A few clients cannot show it; one client that is forgotten again and again can.
    seen: set[str] = set()
    for _ in range(100):
        if seen == set(ALL):
            return
        service, slices = _sticky(at), at.slice(*ALL)
        await bed.apply(service, slices)
        seen.add((await bed.ask("client", at.service_ip()))[0])
        await bed.delete(service, slices)
    raise AssertionError(f"100 first connections reached only {seen}")


@script("affinity outlives what happens to other endpoints", *BOTH)
async def _outlives(bed: Bed, at: Place) -> None:
    await bed.apply(_sticky(at), at.slice(*ALL))
    name, _ = await bed.ask("client", at.service_ip())
    others = [pod for pod in ALL if pod != name]
    for pods in ([name], [others[0], name], [name, others[1]], [*others, name], ALL):
        await bed.apply(at.slice(*pods))
        assert await _chosen(bed, "client", at.service_ip()) == name


@script("affinity dies with its endpoint, also if that comes back", *ALL_PROTOCOLS)
async def _dies(bed: Bed, at: Place) -> None:
    await bed.apply(_sticky(at), at.slice(*ALL))
    name, _ = await bed.ask("client", at.service_ip())
    for _ in range(30):
        others = [pod for pod in ALL if pod != name]
        await bed.apply(at.slice(*others))
        second, _ = await bed.ask("client", at.service_ip())
        assert second in others
        await bed.apply(at.slice(*ALL))
        assert await _chosen(bed, "client", at.service_ip()) == second
        # Nobody asks while it is away and back again: then it is a fresh choice.
        await bed.apply(at.slice(*(pod for pod in ALL if pod != second)))
        await bed.apply(at.slice(*ALL))
        third, _ = await bed.ask("client", at.service_ip())
        if third != second:
            return
        name = third
    raise AssertionError("an endpoint that came back got its client back every time")


@script("affinity is for the Service port, by whichever address")
async def _any_address(bed: Bed, at: Place) -> None:
    external, balancer = at.public(1), at.public(2)
    web = _sticky(at, type="LoadBalancer", node_port=30080, externalIPs=[external], ingress=[balancer])
    await bed.apply(web, at.slice(*ALL))
    addresses = ((at.service_ip(), 80), (at.node, 30080), (external, 80), (balancer, 80))
    for client in ("client", "away-client", "outside"):
        name, _ = await bed.ask(client, *addresses[0])
        for address, port in addresses:
            assert await _chosen(bed, client, address, port) == name


@script("affinity does not lead past a Local policy")
async def _local_policy(bed: Bed, at: Place) -> None:
    web = _sticky(at, type="NodePort", node_port=30080, externalTrafficPolicy="Local")
    await bed.apply(web, at.slice("here-2", "away"))
    for _ in range(30):
        if (await bed.ask("outside", at.service_ip()))[0] == "away":
            break
        await bed.apply(at.slice("away"))
        await bed.apply(at.slice("here-2", "away"))
    assert await _chosen(bed, "outside", at.node, 30080) == "here-2"


@script("each port of a Service has its own affinity")
async def _ports(bed: Bed, at: Place) -> None:
    ports = [{"name": name, "port": port} for name, port in (("a", 80), ("b", 81))]
    given = at.slice(*ALL, ports=(("a", "TCP", 8080), ("b", "TCP", 8080)))
    for _ in range(40):
        web = _sticky(at, ports=ports)
        await bed.apply(web, given)
        first = (await bed.ask("client", at.service_ip(), 80))[0]
        second = (await bed.ask("client", at.service_ip(), 81))[0]
        assert await _chosen(bed, "client", at.service_ip(), 80) == first
        assert await _chosen(bed, "client", at.service_ip(), 81) == second
        if first != second:
            return
        await bed.delete(web, given)
    raise AssertionError("two ports of a Service always chose alike")


@script("affinity ends when the client was away for its timeout")
async def _timeout(bed: Bed, at: Place) -> None:
    await bed.apply(_sticky(at, seconds=1), at.slice(*ALL))
    name, _ = await bed.ask("client", at.service_ip())
    for _ in range(20):
        await asyncio.sleep(1.2)  # what is tested is time itself
        again, _ = await bed.ask("client", at.service_ip())
        if again != name:
            return
    raise AssertionError("a client was remembered for ever")


@script("every connection begins the timeout anew", *TCP)
async def _renewed(bed: Bed, at: Place) -> None:
    await bed.apply(_sticky(at, seconds=2), at.slice(*ALL))
    name, _ = await bed.ask("client", at.service_ip())
    loop = asyncio.get_running_loop()
    begun = loop.time()
    # So often within the timeout that a busy machine is no reason to fail.
    while (now := loop.time()) - begun < 3:
        answered = (await bed.ask("client", at.service_ip()))[0]
        assert answered == name or loop.time() - now > 1
        await asyncio.sleep(0.05)


@script("affinity turned on and off", *TCP)
async def _switched(bed: Bed, at: Place) -> None:
    slices = at.slice(*ALL)
    for _ in range(2):
        await bed.apply(_sticky(at), slices)
        name, _ = await bed.ask("client", at.service_ip())
        assert await _chosen(bed, "client", at.service_ip()) == name
        await bed.apply(at.service())
        assert set(await bed.ask_often("client", at.service_ip(), times=60)) == set(ALL)


@script("affinity outlives the proxy", *TCP)
async def _restart(bed: Bed, at: Place) -> None:
    await bed.apply(_sticky(at), at.slice(*ALL))
    name, _ = await bed.ask("client", at.service_ip())
    for _ in range(3):
        await bed.restart()
        assert await _chosen(bed, "client", at.service_ip()) == name
