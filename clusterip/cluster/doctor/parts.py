"""How each part is: its own word by ``/readyz``, leases, and what proxies say of the kernel."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec

from clusterip.client.credentials import CredentialsError
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient
from clusterip.cluster.health import problem
from clusterip.cluster.readiness import is_ready
from clusterip.cluster.status import status
from clusterip.objects import times
from clusterip.objects.coordination.lease import Lease
from clusterip.objects.core.node import Node

_SECONDS = 5.0
_MOST_NODES = 100
_LEASE_SECONDS = 40.0  # as long as the node lifecycle controller waits
_METRICS_PORT = 10249


class _Services(msgspec.Struct):
    """What is of interest of the proxy's ``/services``."""

    synced: bool = True
    failing: str = ""
    refused: list[str] = []
    repairs: int = 0


async def check(patient: Patient, found: Findings) -> None:
    if patient.config is not None:
        await _processes(patient, found)
    if patient.client is None:
        if patient.config is None:
            found.info("parts", "there is no cluster on this machine, and no kubeconfig says where one is")
        return
    try:
        await _api(patient.client, found)
    except (Unreachable, ApiError, CredentialsError) as error:
        found.error("API server", str(error), "see its log: clusterip status says where it is")
        return
    await _nodes(patient.client, found)


async def _processes(patient: Patient, found: Findings) -> None:
    assert patient.config is not None
    if not patient.is_running:
        remedy = f"clusterip up --name {patient.name} to start it, or clusterip down to remove it"
        found.warning("cluster", "is there, but nothing of it runs", remedy)
        return
    state = await asyncio.to_thread(status, patient.name, patient.paths)
    asked = {}
    if patient.plan is not None:
        health = {p.name: p.health for p in patient.plan.programs if p.health.startswith("http:")}
        answers = await asyncio.gather(*(problem(url) for url in health.values()))
        asked = dict(zip(health, answers, strict=True))
    for part in state.parts:
        why = part.problem or asked.get(part.name) or ""
        if why:
            found.error(part.name, why, f"read {part.log}; it is started again if it has ended")
        elif part.restarts:
            found.warning(
                part.name, f"runs, and was started again {part.restarts} times", f"{part.log} says why"
            )
    good = sum(not part.problem and not asked.get(part.name) for part in state.parts)
    found.ok("processes", f"{good} of {len(state.parts)} run and are ready")


async def _api(client: Client, found: Findings) -> None:
    """Raises ApiError, Unreachable, CredentialsError."""
    try:
        await client.request("GET", "/readyz?verbose", accept="*/*", seconds=_SECONDS)
    except ApiError as error:
        if error.code == 403:
            found.info("API server", "this user may not ask for /readyz")
            return
        raise
    found.ok("API server", f"{client.config.server} is ready")


async def _nodes(client: Client, found: Findings) -> None:
    try:
        nodes = (await client.list(Node)).items
        leases = (await client.list(Lease, "kube-node-lease")).items
    except (ApiError, Unreachable) as error:
        found.info("nodes", f"cannot be listed: {error}")
        return
    renewed = {lease.metadata.name: lease.spec.renewTime for lease in leases}
    bad = 0
    for node in nodes:
        name = node.metadata.name
        age = _age(renewed.get(name))
        if age is not None and age > _LEASE_SECONDS:
            bad += 1
            text = f"has not renewed its lease for {age:.0f} s"
            found.error(f"node {name}", text, "see whether its agent runs and reaches the API server")
        elif not is_ready(node):
            bad += 1
            why = [each.message or each.reason for each in node.status.conditions if each.type == "Ready"]
            text = f"is not Ready: {', '.join(filter(None, why)) or 'no report yet'}"
            found.error(f"node {name}", text, "see its agent's log")
    if not nodes:
        found.warning("nodes", "there are none", "clusterip node, or a kubelet, registers one")
    elif not bad:
        found.ok("nodes", f"{len(nodes)} are Ready and renew their leases")
    await _proxies(client, [node.metadata.name for node in nodes][:_MOST_NODES], found)


async def _proxies(client: Client, nodes: list[str], found: Findings) -> None:
    """What the proxies say of the kernel; others than ours do not."""
    answers = await asyncio.gather(*(_proxy(client, node) for node in nodes))
    good = 0
    for node, answer in zip(nodes, answers, strict=True):
        if answer is None:
            continue
        subject = f"proxy on {node}"
        if answer.failing:
            found.error(
                subject, f"the kernel lacks its rules: {answer.failing}", "it tries again; see its log"
            )
        elif not answer.synced:
            found.warning(subject, "has not written its first rules yet", "wait, then see its log")
        elif answer.refused:
            refused = "; ".join(answer.refused[:3])
            found.error(subject, f"the kernel refuses {len(answer.refused)} parts: {refused}", "see its log")
        else:
            good += 1
        if answer.repairs:
            found.warning(
                subject,
                f"others have changed its rules {answer.repairs} times",
                "find out which program flushes or edits the table clusterip (`nft monitor`)",
            )
    if good:
        found.ok("proxies", f"{good} have the kernel as wanted")
    elif nodes and all(answer is None for answer in answers):
        found.info("proxies", f"none tells of the kernel on port {_METRICS_PORT} of its node")


async def _proxy(client: Client, node: str) -> _Services | None:
    path = f"/api/v1/nodes/{node}:{_METRICS_PORT}/proxy/services"
    try:
        answer = await client.request("GET", path, query={"traffic": "false"}, accept="*/*", seconds=_SECONDS)
        return msgspec.json.decode(answer, type=_Services)
    except (ApiError, Unreachable, msgspec.DecodeError):
        return None


def _age(renewed: str | None) -> float | None:
    try:
        return (datetime.now(UTC) - times.parse(renewed)).total_seconds() if renewed else None
    except ValueError:
        return None
