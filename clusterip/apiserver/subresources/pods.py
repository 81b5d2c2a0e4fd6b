"""``pods/NAME/binding`` and ``pods/NAME/eviction``."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from clusterip.apiserver import status
from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.call import Call
from clusterip.apiserver.decoding import read_options
from clusterip.apiserver.subresources import budgets
from clusterip.objects import times
from clusterip.objects.core.binding import Binding
from clusterip.objects.core.pod import Pod, PodCondition
from clusterip.objects.meta import DeleteOptions, Object
from clusterip.objects.registry import Resource


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
    name = info.name or binding.metadata.name
    if not name:
        raise status.bad_request("name must be provided")
    node = binding.target.name
    if binding.target.kind not in ("", "Node", "Minion") or not node:
        raise status.failure(
            422,
            "Invalid",
            f'Binding "{name}" is invalid: target.kind: Unsupported value: "{binding.target.kind}": '
            'supported values: "Node", "<empty>"'
            if node
            else f'Binding "{name}" is invalid: target.name: Required value',
        )

    def assign(pod: Pod | None) -> Any:
        if pod is None:
            raise status.not_found(resource, name)
        if pod.metadata.deletionTimestamp is not None:
            why = f"pod {name} is being deleted, cannot be assigned to a host"
            raise status.conflict(_BINDINGS, name, why)
        if pod.spec.nodeName:
            why = f'pod {name} is already assigned to node "{pod.spec.nodeName}"'
            raise status.conflict(_BINDINGS, name, why)
        pod.spec.nodeName = node
        pod.metadata.annotations = {**pod.metadata.annotations, **binding.metadata.annotations}
        pod.metadata.labels = {**pod.metadata.labels, **binding.metadata.labels}
        others = [c for c in pod.status.conditions if c.type != "PodScheduled"]
        scheduled = PodCondition(type="PodScheduled", status="True", lastTransitionTime=times.now())
        pod.status.conditions = [*others, scheduled]
        return pod

    objects = call.server.objects
    await objects.admission.judge(
        Attributes("CREATE", call.user, resource, info.namespace, name, binding, subresource="binding")
    )
    await objects.update(resource, info.namespace, name, assign, subresource="binding", dry_run=info.dry_run)
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
    objects = call.server.objects
    await objects.admission.judge(
        Attributes("CREATE", call.user, resource, info.namespace, info.name, eviction, subresource="eviction")
    )
    pod = (await objects.get(resource, info.namespace, info.name)).decode()
    await budgets.take(objects, pod, dry_run=bool(options.dryRun))
    await objects.delete(resource, info.namespace, info.name, options)
    return call.reply_status(status.success(code=201))
