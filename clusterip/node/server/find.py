"""Finding what a request is about: a Pod on this node, a container in it. Refusals in upstream's words."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.slot import Slot
from clusterip.node.pods.worker import PodWorker
from clusterip.node.runtime.container import Container

_START_SECONDS = 5.0  # what an agent that has just begun gets to find out what is here


async def find_pod(request: web.Request, manager: PodManager) -> PodWorker:
    """The Pod that the request's path names. Raises HTTPNotFound."""
    namespace, name = request.match_info["namespace"], request.match_info["pod"]
    worker = manager.find(namespace, name)
    if worker is None:
        await _within_start(manager.complete)
        worker = manager.find(namespace, name)
    if worker is None:
        raise web.HTTPNotFound(text=f'pod "{name}_{namespace}" not found')
    await _within_start(worker.adopted)
    return worker


async def _within_start(event: asyncio.Event) -> None:
    if not event.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), _START_SECONDS)


async def find_slot(request: web.Request, manager: PodManager) -> tuple[PodWorker, Slot]:
    """The container that the request's path names. Raises HTTPNotFound."""
    worker = await find_pod(request, manager)
    wanted = request.match_info["container"]
    for slot in worker.slots:
        if slot.name == wanted:
            return worker, slot
    pod = request.match_info["pod"]
    raise web.HTTPNotFound(text=f"container {wanted} not found in pod {pod}")


async def find_running(request: web.Request, manager: PodManager) -> tuple[Slot, Container]:
    """As ``find_slot``, but it must run. Raises HTTPNotFound, HTTPBadRequest."""
    _worker, slot = await find_slot(request, manager)
    if slot.container is None or not slot.container.running:
        raise web.HTTPBadRequest(text=f'container "{slot.name}" is not running')
    return slot, slot.container
