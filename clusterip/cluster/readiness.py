"""Waiting until a cluster that was just started does its work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from clusterip.client.config import load
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.cluster import bootstrap, health, processes
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.paths import Paths
from clusterip.cluster.plan import Plan, Program
from clusterip.objects.core.node import Node

_RETRY_SECONDS = 0.01
_POLL_SECONDS = 0.02
_WATCH_SECONDS = 0.2
_TOO_OFTEN = 4

Report = Callable[[str], None]
"""Called with a line of progress."""

PodRoute = Callable[[str, str], None]
"""Called with a node and its Pods' network once known."""


async def wait(
    config: ClusterConfig,
    paths: Paths,
    plan: Plan,
    report: Report,
    add_pod_route: PodRoute,
    *,
    seconds: float,
) -> None:
    """Return when the API answers, every node is Ready and reachable, and every part is synced.

    Raises:
        ClusterError: that took longer than ``seconds``; the text says what is not ready.
    """
    waiting = Waiting()
    try:
        async with asyncio.timeout(seconds), Client(load(str(paths.admin_kubeconfig))) as client:
            watching = asyncio.create_task(_watch_processes(paths, plan))
            working = asyncio.create_task(_work(client, config, paths, plan, waiting, report, add_pod_route))
            try:
                done, _ = await asyncio.wait({watching, working}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                watching.cancel()
                working.cancel()
    except TimeoutError:
        raise ClusterError(
            f"not ready after {seconds:.0f} s: {', '.join(waiting.names)}. "
            f"`clusterip status` says more; the logs are in {paths.logs}"
        ) from None


class Waiting:
    """What is being waited for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def on(self, name: str) -> _Wait:
        return _Wait(self, name)


class _Wait:
    def __init__(self, waiting: Waiting, name: str) -> None:
        self._waiting = waiting
        self._name = name

    def __enter__(self) -> None:
        self._waiting.names.append(self._name)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:  # what did not come to pass stays, to be told
            self._waiting.names.remove(self._name)


async def _work(
    client: Client,
    config: ClusterConfig,
    paths: Paths,
    plan: Plan,
    waiting: Waiting,
    report: Report,
    add_pod_route: PodRoute,
) -> None:
    with waiting.on("API server"):
        await _api(client)
        report(f"API server    {config.outer_api_url}")
    tasks = [
        _supervised(paths, waiting),
        _bootstrap(client, config, waiting),
        _nodes(client, config, waiting, report, add_pod_route),
        *(
            _healthy(command, [p for p in plan.programs if p.command == command], waiting, report)
            for command in ("controllers", "proxy", "dns")
        ),
    ]
    await asyncio.gather(*tasks)


async def _watch_processes(paths: Paths, plan: Plan) -> None:
    """Raise ClusterError if the supervisor ends or a part does not stay up."""
    logs = {program.name: Path(program.log) for program in plan.programs}
    before = {name: part.restarts for name, part in processes.read(paths.processes).parts.items()}
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        records = processes.read(paths.processes)
        if not records.is_supervised:
            raise ClusterError(f"the supervisor ended:\n{_last_lines(paths.log('supervisor'))}")
        for name, part in records.parts.items():
            if part.restarts - before.get(name, 0) >= _TOO_OFTEN:
                raise ClusterError(f"{name} does not stay up:\n{_last_lines(logs[name])}")


def _last_lines(log: Path, count: int = 3, width: int = 400) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    shown = [line if len(line) <= width else f"{line[:width]}..." for line in lines[-count:]]
    return "\n".join([f"{log}:", *(f"  {line}" for line in shown)])


async def _api(client: Client) -> None:
    """Return when the API server says it is ready.

    Once its socket is open the first request waits in it, so there is little to poll for.
    """
    while True:
        try:
            await client.request("GET", "/readyz", accept="*/*")
            return
        except (Unreachable, ApiError):
            await asyncio.sleep(_RETRY_SECONDS)


async def _supervised(paths: Paths, waiting: Waiting) -> None:
    """Return when there are a supervisor and a guardian: whatever dies from now on comes back."""

    def halves_are_alive() -> bool:
        records = processes.read(paths.processes)
        return all(half is not None and half.is_alive for half in (records.supervisor, records.guardian))

    with waiting.on("the supervisor"):
        while not halves_are_alive():  # noqa: ASYNC110 - nothing notifies
            await asyncio.sleep(_POLL_SECONDS)


async def _bootstrap(client: Client, config: ClusterConfig, waiting: Waiting) -> None:
    with waiting.on("the Service of the cluster's DNS"):
        await bootstrap.create_objects(client, config)


async def _nodes(
    client: Client, config: ClusterConfig, waiting: Waiting, report: Report, add_pod_route: PodRoute
) -> None:
    """Return when every node is Ready and has a Pod network that the machine has a route to."""
    missing = set(config.node_names)
    started = time.time()
    with waiting.on("nodes"):
        listed = await client.list(Node)
        for node in listed.items:
            _note(node, missing, started, report, add_pod_route)
        version = listed.metadata.resourceVersion
        while missing:
            async for event in client.watch(Node, resource_version=version):
                version = event.object.metadata.resourceVersion
                if event.type in ("ADDED", "MODIFIED"):
                    _note(event.object, missing, started, report, add_pod_route)
                if not missing:
                    break


def _note(node: Node, missing: set[str], started: float, report: Report, add_pod_route: PodRoute) -> None:
    name = node.metadata.name
    if name in missing and node.spec.podCIDR and is_ready(node):
        missing.discard(name)
        networks = node.spec.podCIDRs or [node.spec.podCIDR]
        for network in networks:
            add_pod_route(name, network)
        addresses = [address.address for address in node.status.addresses if address.type == "InternalIP"]
        report(f"{name:<13} {', '.join(addresses)}, Pods {', '.join(networks)}")


def is_ready(node: Node) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


async def _healthy(command: str, programs: list[Program], waiting: Waiting, report: Report) -> None:
    for program in programs:
        with waiting.on(program.name):
            while await health.problem(program.health) is not None:  # noqa: ASYNC110 - nothing notifies
                await asyncio.sleep(_POLL_SECONDS)
    places = "the control plane" if command == "controllers" else f"{len(programs)} nodes"
    report(f"{command:<13} on {places}")
