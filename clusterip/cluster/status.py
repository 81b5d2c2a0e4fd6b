"""``clusterip status``: what runs, how much it needs, what is wrong and what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path

import msgspec

from clusterip.client.config import ConfigError, load
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.cluster import config as configs
from clusterip.cluster import health, processes
from clusterip.cluster import plan as plans
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.paths import Paths
from clusterip.cluster.plan import Program
from clusterip.cluster.processes import Process
from clusterip.cluster.readiness import is_ready
from clusterip.objects.core.node import Node

_API_SECONDS = 3.0


class PartStatus(msgspec.Struct, kw_only=True):
    """A process. ``memory`` is its proportional share of memory (PSS) in bytes, ``problem`` "" if well."""

    name: str
    pid: int = 0
    memory: int = 0
    restarts: int = 0
    since: float = 0.0
    problem: str = ""
    log: str = ""


class NodeStatus(msgspec.Struct, kw_only=True):
    name: str
    address: str = ""
    pod_cidr: str = ""
    problem: str = ""


class Status(msgspec.Struct, kw_only=True):
    """``state`` is ``running``, ``degraded`` or ``stopped``; ``problems`` say what to do."""

    name: str
    state: str
    api: str = ""
    kubeconfig: str = ""
    parts: list[PartStatus] = []
    nodes: list[NodeStatus] = []
    problems: list[str] = []

    @property
    def memory(self) -> int:
        """All processes' share of memory together, in bytes."""
        return sum(part.memory for part in self.parts)


def status(name: str, paths: Paths) -> Status:
    """Look at a cluster. Needs no root, though without it others' memory stays unknown."""
    try:
        config = configs.decode(paths.config.read_bytes())
        plan = plans.read(paths.plan)
    except FileNotFoundError:
        return Status(name=name, state="stopped", problems=["there is no cluster: run `clusterip up`"])
    records = processes.read(paths.processes)
    parts: list[PartStatus] = []
    for half, process in (("supervisor", records.supervisor), ("guardian", records.guardian)):
        part = PartStatus(name=half, log=str(paths.log("supervisor")))
        _measure(part, process)
        parts.append(part)
    for program in plan.programs:
        recorded = records.parts.get(program.name)
        part = PartStatus(name=program.name, log=program.log)
        if recorded:
            part.restarts, part.since = recorded.restarts, recorded.since
        _measure(part, recorded.process if recorded else None)
        parts.append(part)
    result = Status(
        name=config.name,
        state="stopped" if all(not part.pid for part in parts) else "running",
        api=config.outer_api_url,
        kubeconfig=str(paths.admin_kubeconfig),
        parts=parts,
    )
    if result.state == "running":
        asyncio.run(_ask(result, config, paths, plan.programs))
    _judge(result)
    return result


def _measure(part: PartStatus, process: Process | None) -> None:
    if process is None or not process.is_alive:
        part.problem = "does not run"
        return
    part.pid = process.pid
    part.memory = memory_of(process.pid)


def memory_of(pid: int) -> int:
    """A process's proportional share of memory (PSS) in bytes; 0 if it cannot be read."""
    with contextlib.suppress(OSError):
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else 0
    return 0


async def _ask(result: Status, config: ClusterConfig, paths: Paths, programs: tuple[Program, ...]) -> None:
    parts = {part.name: part for part in result.parts}

    async def ask(program: Program) -> None:
        part = parts[program.name]
        if part.pid and program.health.startswith("http:"):
            part.problem = await health.problem(program.health) or ""

    api = parts["apiserver"]
    try:
        async with asyncio.timeout(_API_SECONDS), Client(load(str(paths.admin_kubeconfig))) as client:
            await asyncio.gather(*(ask(program) for program in programs), _ask_api(client, config, result))
    except (Unreachable, ApiError, ConfigError, TimeoutError) as error:
        api.problem = api.problem or str(error) or f"does not answer within {_API_SECONDS:.0f} s"


async def _ask_api(client: Client, config: ClusterConfig, result: Status) -> None:
    await client.request("GET", "/readyz", accept="*/*")
    found = {node.metadata.name: node for node in (await client.list(Node)).items}
    for name in sorted({*config.node_names, *found}):
        node = found.get(name)
        if node is None:
            result.nodes.append(NodeStatus(name=name, problem="has not registered"))
            continue
        addresses = [address.address for address in node.status.addresses if address.type == "InternalIP"]
        reasons = [c.message or c.reason for c in node.status.conditions if c.type == "Ready"]
        result.nodes.append(
            NodeStatus(
                name=name,
                address=", ".join(addresses),
                pod_cidr=node.spec.podCIDR,
                problem="" if is_ready(node) else f"not Ready: {', '.join(reasons) or 'no report yet'}",
            )
        )


def _judge(result: Status) -> None:
    """Say what is wrong, and what to do."""
    if result.state == "stopped":
        result.problems.append("it is stopped: run `clusterip up` to start it again")
        return
    supervised = any(part.pid for part in result.parts if part.name in ("supervisor", "guardian"))
    if not supervised:
        result.problems.append("nothing watches the parts: run `clusterip up` to have them watched again")
    for part in result.parts:
        if part.problem and (supervised or part.name not in ("supervisor", "guardian")):
            result.problems.append(f"{part.name} {part.problem} (its log: {part.log})")
    for node in result.nodes:
        if node.problem:
            result.problems.append(f"{node.name} {node.problem}")
    if result.problems:
        result.state = "degraded"
