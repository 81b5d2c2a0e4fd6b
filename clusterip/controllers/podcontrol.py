"""Creating and deleting the Pods of a workload, telling of each in an Event (``RealPodControl`` upstream)."""

from __future__ import annotations

from clusterip.client.errors import ApiError
from clusterip.client.events import EventRecorder
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.controllers import pods as pod_facts
from clusterip.objects.core.pod import Pod
from clusterip.objects.meta import Object


class PodControl:
    """Remembers what it deleted until the informer shows it too, so that nothing is counted twice."""

    def __init__(self, client: Client, pods: Informer[Pod], events: EventRecorder) -> None:
        self._client = client
        self._events = events
        self._deleting: set[str] = set()
        pods.on_change(self._pod_changed)

    def counts(self, pod: Pod) -> bool:
        """Whether the Pod is a replica: neither ended nor being deleted."""
        return pod_facts.is_active(pod) and not self.is_deleting(pod)

    def is_deleting(self, pod: Pod) -> bool:
        """Whether the Pod was deleted here and nothing was heard of that yet."""
        return pod.metadata.uid in self._deleting

    async def create(self, owner: Object, pod: Pod) -> Pod:
        """Raises ApiError or Unreachable if the Pod is not created."""
        try:
            created = await self._client.create(pod)
        except ApiError as error:
            if not error.is_namespace_terminating:
                self._events.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {created.metadata.name}")
        return created

    async def delete(self, owner: Object, pod: Pod) -> None:
        """Raises ApiError or Unreachable if the Pod is not deleted; one that is gone already is deleted."""
        meta = pod.metadata
        self._deleting.add(meta.uid)
        try:
            await self._client.delete(Pod, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            if error.is_not_found or error.is_conflict:
                return  # it is gone, which is what was wanted; the informer will say so
            self._deleting.discard(meta.uid)
            self._events.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        except BaseException:
            self._deleting.discard(meta.uid)
            raise
        self._events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name}")

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is not None and (new is None or new.metadata.deletionTimestamp is not None):
            self._deleting.discard(pod.metadata.uid)
