"""Ending a whole Pod: its containers in order, its files, its object at the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from clusterip.client.errors import ApiError, Unreachable
from clusterip.node.cgroups import tree as cgroups
from clusterip.node.files import remove_tree
from clusterip.node.layout import PodDirectory
from clusterip.node.pods import volumes
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.slot import Slot
from clusterip.node.pods.termination import Deadline, stop
from clusterip.objects.core.pod import Pod
from clusterip.process import log

_log = log.get("node")

_RETRY_SECONDS = 1.0


async def stop_all(
    context: NodeContext, pod: Pod, slots: Sequence[Slot], deadline: Deadline, host: str
) -> None:
    """Stop the ordinary containers together, then the sidecars one by one, the last one first."""

    async def end(slot: Slot) -> None:
        await stop(context, pod, slot, deadline, f"Stopping container {slot.name}", host)

    await asyncio.gather(*(end(slot) for slot in slots if slot.kind != "sidecar"))
    for slot in reversed(slots):
        if slot.kind == "sidecar":
            await end(slot)


def remove_files(directory: PodDirectory) -> None:
    """Remove everything a Pod has on disk. Raises OSError if something of it is still in use."""
    cgroups.remove_pod(directory.path)
    volumes.tear_down(directory)
    remove_tree(directory.path)


def remove_volumes(directory: PodDirectory) -> None:
    """Remove what a Pod that is over has in its volumes. Raises OSError if something of it is in use."""
    volumes.tear_down(directory)
    remove_tree(directory.path / "volumes")


async def delete_object(context: NodeContext, pod: Pod, removed: Callable[[], bool]) -> None:
    """Delete the Pod's object for good, now that nothing of it runs; tries until it is gone.

    ``removed`` tells whether somebody else has done so.
    """
    meta = pod.metadata
    while not removed():
        try:
            await context.client.delete(Pod, meta.name, meta.namespace, grace_period_seconds=0, uid=meta.uid)
            return
        except Unreachable as error:
            _log.debug("pod not deleted yet", pod=f"{meta.namespace}/{meta.name}", error=str(error))
        except ApiError as error:
            if error.is_not_found or error.is_conflict:
                return
            _log.warning("pod not deleted", pod=f"{meta.namespace}/{meta.name}", error=str(error))
        await asyncio.sleep(_RETRY_SECONDS)
