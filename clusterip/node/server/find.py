"""Finding what a request is about: a Pod on this node, a container in it. Refusals in upstream's words."""

from __future__ import annotations

from aiohttp import web

from clusterip.node.pods.manager import PodManager
from clusterip.node.pods.slot import Slot
from clusterip.node.pods.worker import PodWorker
from clusterip.node.runtime.container import Container


def find_pod(request: web.Request, manager: PodManager) -> PodWorker:
    """The Pod that the request's path names. Raises HTTPNotFound."""
    namespace, name = request.match_info["namespace"], request.match_info["pod"]
    worker = manager.find(namespace, name)
    if worker is None:
        raise web.HTTPNotFound(text=f'pod "{name}_{namespace}" not found')
    return worker


def find_slot(request: web.Request, manager: PodManager) -> tuple[PodWorker, Slot]:
    """The container that the request's path names. Raises HTTPNotFound."""
    worker = find_pod(request, manager)
    wanted = request.match_info["container"]
    for slot in worker.slots:
        if slot.name == wanted:
            return worker, slot
    pod = request.match_info["pod"]
    raise web.HTTPNotFound(text=f"container {wanted} not found in pod {pod}")


def find_running(request: web.Request, manager: PodManager) -> tuple[Slot, Container]:
    """As ``find_slot``, but it must run. Raises HTTPNotFound, HTTPBadRequest."""
    _worker, slot = find_slot(request, manager)
    if slot.container is None or not slot.container.running:
        raise web.HTTPBadRequest(text=f'container "{slot.name}" is not running')
    return slot, slot.container
