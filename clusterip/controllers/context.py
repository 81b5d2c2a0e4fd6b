"""What all controllers of a process share: the client, one informer a kind, the event recorders."""

from __future__ import annotations

from collections.abc import Coroutine, Hashable, Iterable
from typing import Any, TypeVar

from clusterip.client.events import EventRecorder
from clusterip.client.informer import Informer, Watched
from clusterip.client.rest import Client
from clusterip.controllers.owners import controller_of
from clusterip.objects.core.pod import PODS, Pod
from clusterip.objects.meta import Object
from clusterip.objects.registry import Resource

O = TypeVar("O", bound=Object)  # noqa: E741
W = TypeVar("W", bound=Watched)

BY_NAMESPACE = "namespace"
BY_NODE = "node"
BY_CONTROLLER = "controller"


class Context:
    """Ask it for what a controller needs; ``running`` is what then has to run beside the controllers."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._informers: dict[str, Informer[Any]] = {}
        self._recorders: dict[str, EventRecorder] = {}

    def informer(self, resource: Resource[O]) -> Informer[O]:
        """The one informer of a kind, findable by namespace and by the UID of the controlling owner."""
        found = self._informers.get(resource.group_resource)
        if found is None:
            found = self._informers[resource.group_resource] = Informer(self.client, resource)
            found.add_index(BY_NAMESPACE, _namespace)
            found.add_index(BY_CONTROLLER, _controller)
            if resource is PODS:
                found.add_index(BY_NODE, _node)
        return found

    def share(self, name: str, informer: Informer[W]) -> Informer[W]:
        """Run an informer that sees only part of a kind, or only some fields of it, beside the others."""
        return self._informers.setdefault(name, informer)

    def recorder(self, component: str) -> EventRecorder:
        if component not in self._recorders:
            self._recorders[component] = EventRecorder(self.client, component)
        return self._recorders[component]

    @property
    def informers(self) -> dict[str, Informer[Any]]:
        return self._informers

    def running(self) -> list[Coroutine[Any, Any, None]]:
        """What must run for as long as the controllers do."""
        informers = [informer.run() for informer in self._informers.values()]
        return informers + [recorder.run() for recorder in self._recorders.values()]


def _namespace(obj: Object) -> Iterable[Hashable]:
    return (obj.metadata.namespace,)


def _controller(obj: Object) -> Iterable[Hashable]:
    owner = controller_of(obj.metadata)
    # Objects that nobody controls are found under "": a workload may adopt them.
    return (owner.uid,) if owner is not None else (("", obj.metadata.namespace),)


def _node(pod: Pod) -> Iterable[Hashable]:
    return (pod.spec.nodeName,) if pod.spec.nodeName else ()
