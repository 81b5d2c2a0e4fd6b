"""Traces that a node's agent does, through the API server: no rights are needed on any machine."""

from __future__ import annotations

import asyncio

import msgspec

from clusterip.client.errors import ApiError
from clusterip.client.rest import Client as ApiClient
from clusterip.objects import codec
from clusterip.objects.core.event import Event
from clusterip.objects.core.pod.types import Pod
from clusterip.objects.core.service.types import Service
from clusterip.trace.objects import Given, TraceError, aim_at
from clusterip.trace.request import Client, Request
from clusterip.trace.story import Story

_GRACE_SECONDS = 30.0


async def ask(request: Request, client: ApiClient, namespace: str) -> Story:
    """Let the agent of the client's node follow the connection.

    It gets the Pods and Events of the target's namespace along, which a node may not read.

    Raises:
        TraceError: it cannot be done there, or the node's agent is none of this system.
        ApiError, Unreachable.
    """
    if request.client.kind == "external":
        raise TraceError("only this machine itself can connect from outside, and that needs root")
    node = await _node_of(request.client, client)
    path = f"/api/v1/nodes/{node}/proxy/trace"
    query = {
        "from": str(request.client),
        "to": request.target.text,
        "timeout": str(request.seconds),
        "namespace": namespace,
    }
    body = msgspec.json.encode(await _given(request, client, namespace))
    try:
        answer = await client.request(
            "POST", path, query=query, body=body, accept="*/*", seconds=request.seconds + _GRACE_SECONDS
        )
        return msgspec.json.decode(answer, type=Story)
    except (ApiError, msgspec.DecodeError) as error:
        raise TraceError(f"the agent of node {node} cannot trace: {error}") from error


async def _node_of(wanted: Client, client: ApiClient) -> str:
    if wanted.kind == "node":
        return wanted.name
    pod = await client.get(Pod, wanted.name, wanted.namespace)
    if not pod.spec.nodeName:
        raise TraceError(f"{wanted} cannot connect to anything: it is on no node yet")
    return pod.spec.nodeName


async def _given(request: Request, client: ApiClient, namespace: str) -> Given:
    services = (await client.list(Service)).items
    aim = aim_at(request.target, request.client.namespace or namespace, services, [], Client("pod"))
    if aim.service is None:
        return Given()
    pods, events = await asyncio.gather(client.list(Pod, aim.namespace), client.list(Event, aim.namespace))
    return Given(
        pods=[codec.to_tree(each) for each in pods.items],
        events=[codec.to_tree(each) for each in events.items],
    )
