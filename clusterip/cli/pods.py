"""Which Pod and which container ``logs`` and ``exec`` mean."""

from __future__ import annotations

from typing import Any

from clusterip.cli.connection import CommandError, Session
from clusterip.cli.resources import find
from clusterip.objects import selectors
from clusterip.objects.core.pod import Pod
from clusterip.objects.registry import Resource

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


async def pod_of(session: Session, text: str) -> Pod:
    """The Pod ``NAME``, ``pod/NAME``, or the first ready one behind ``deploy/NAME`` or ``service/NAME``.

    Raises:
        CommandError: the kind has no Pods, or there are none.
        ApiError: there is no such object.
    """
    kind, slash, name = text.partition("/")
    if not slash:
        return await session.client.get(Pod, text, session.namespace)
    resource = find(kind)
    if resource.type is Pod:
        return await session.client.get(Pod, name, session.namespace)
    selector = await _selector(session, resource, name)
    pods = (await session.client.list(Pod, session.namespace, label_selector=selector)).items
    if not pods:
        raise CommandError(f"error: no Pods match the selector of {text}")
    return sorted(pods, key=lambda pod: (pod.status.phase != "Running", pod.metadata.creationTimestamp))[0]


async def _selector(session: Session, resource: Resource[Any], name: str) -> str:
    owner = await session.client.get(resource.type, name, session.namespace)
    selector = getattr(getattr(owner, "spec", None), "selector", None)
    if not selector:
        raise CommandError(f"error: cannot get the Pods of {resource.plural} {name!r}: it selects none")
    chosen = (
        selectors.from_map(selector)
        if isinstance(selector, dict)
        else selectors.from_label_selector(selector)
    )
    return str(chosen)


def container_of(pod: Pod, wanted: str | None) -> str:
    """The container of that name, or the Pod's default one. Raises CommandError if it has none such."""
    names = [container.name for container in (*pod.spec.containers, *pod.spec.initContainers)]
    if wanted is None:
        chosen = pod.metadata.annotations.get(DEFAULT_CONTAINER, names[0])
        return chosen if chosen in names else names[0]
    if wanted not in names:
        raise CommandError(
            f"error: container {wanted} is not valid for pod {pod.metadata.name} out of: {', '.join(names)}"
        )
    return wanted
