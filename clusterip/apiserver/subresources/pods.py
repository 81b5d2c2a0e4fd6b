"""``pods/NAME/binding`` and ``pods/NAME/eviction``."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import read_options
from clusterip.objects import times
from clusterip.objects.core.pod import Pod, PodCondition
from clusterip.objects.core.references import ObjectReference
from clusterip.objects.meta import DeleteOptions, Object
from clusterip.objects.registry import Resource


class Binding(Object):
    """Where a Pod is to run."""

    target: ObjectReference = msgspec.field(default_factory=ObjectReference)


class Eviction(Object):
    """A request to delete a Pod if that disturbs nobody (``policy/v1``)."""

    deleteOptions: DeleteOptions | None = None


_BINDINGS: Resource[Any] = Resource(
    type=Binding, group="", version="v1", plural="pods/binding", namespaced=True
)


async def bind(call: Call, resource: Resource[Any]) -> web.Response:
    """Assign a Pod to a node, once."""
    info = call.info
    if info.verb != "create":
        raise status.method_not_allowed()
    binding = read_options(await call.body(), call.content_type, Binding)
    node = binding.target.name
    if binding.target.kind not in ("", "Node", "Minion") or not node:
        raise status.failure(
            422,
            "Invalid",
            f'Binding "{info.name}" is invalid: target.kind: Unsupported value: "{binding.target.kind}": '
            'supported values: "Node", "<empty>"'
            if node
            else f'Binding "{info.name}" is invalid: target.name: Required value',
        )

    def assign(pod: Pod | None) -> Any:
        if pod is None:
            raise status.not_found(resource, info.name)
        if pod.metadata.deletionTimestamp is not None:
            why = f"pod {info.name} is being deleted, cannot be assigned to a host"
            raise status.conflict(_BINDINGS, info.name, why)
        if pod.spec.nodeName:
            why = f'pod {info.name} is already assigned to node "{pod.spec.nodeName}"'
            raise status.conflict(_BINDINGS, info.name, why)
        pod.spec.nodeName = node
        pod.metadata.annotations = {**pod.metadata.annotations, **binding.metadata.annotations}
        pod.metadata.labels = {**pod.metadata.labels, **binding.metadata.labels}
        others = [c for c in pod.status.conditions if c.type != "PodScheduled"]
        scheduled = PodCondition(type="PodScheduled", status="True", lastTransitionTime=times.now())
        pod.status.conditions = [*others, scheduled]
        return pod

    await call.server.objects.update(
        resource, info.namespace, info.name, assign, subresource="binding", dry_run=info.dry_run
    )
    return call.reply_status(status.success(code=201))


async def evict(call: Call, resource: Resource[Any]) -> web.Response:
    """Delete a Pod the polite way."""
    info = call.info
    if info.verb != "create":
        raise status.method_not_allowed()
    eviction = read_options(await call.body(), call.content_type, Eviction)
    if eviction.metadata.name and eviction.metadata.name != info.name:
        raise status.bad_request("name in URL does not match name in Eviction object")
    options = eviction.deleteOptions or DeleteOptions()
    if info.dry_run:
        options.dryRun = ["All"]
    await call.server.objects.delete(resource, info.namespace, info.name, options)
    return call.reply_status(status.success(code=201))
