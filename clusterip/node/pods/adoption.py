"""Finding a Pod's containers again after the agent, or the machine, was away."""

from __future__ import annotations

from clusterip.node.layout import PodDirectory
from clusterip.node.pods.slot import Past, Slot
from clusterip.node.runtime.container import adopt
from clusterip.node.runtime.inotify import Inotify
from clusterip.node.runtime.logs import LogLimits
from clusterip.objects.core.containers import Container as ContainerSpec
from clusterip.objects.core.containers import EphemeralContainer
from clusterip.objects.core.pod import ContainerStatus, Pod


def make_slots(pod: Pod) -> list[Slot]:
    """A slot for every container of a Pod, in the order they start."""
    slots = [
        Slot(spec=spec, kind="sidecar" if spec.restartPolicy == "Always" else "init")
        for spec in pod.spec.initContainers
    ]
    slots += [Slot(spec=spec, kind="regular") for spec in pod.spec.containers]
    return slots + [ephemeral_slot(spec) for spec in pod.spec.ephemeralContainers]


def ephemeral_slot(spec: EphemeralContainer) -> Slot:
    """A slot for a container that was added to look into a Pod."""
    fields = {name: getattr(spec, name) for name in ContainerSpec.__struct_fields__}
    return Slot(spec=ContainerSpec(**fields), kind="ephemeral", target=spec.targetContainerName)


async def adopt_slots(
    slots: list[Slot],
    directory: PodDirectory,
    inotify: Inotify,
    pod: Pod,
    log_limits: LogLimits | None = None,
) -> None:
    """Give each slot the last attempt that there are files of, and the one before it.

    What the Pod's status said of a container that still runs holds until a probe says otherwise.
    """
    known = {s.name: s for s in (*pod.status.initContainerStatuses, *pod.status.containerStatuses)}
    for slot in slots:
        for attempt in directory.attempts(slot.name)[-2:]:
            place = directory.container(slot.name, attempt)
            container = await adopt(place, directory.log(slot.name, attempt), inotify, log_limits)
            if container is None:
                continue
            if slot.container is not None and slot.container.exit is not None:
                slot.past = Past(slot.container.record, slot.container.exit)
            slot.container = container
        if slot.running:
            status = known.get(slot.name, ContainerStatus())
            slot.started, slot.ready = bool(status.started), status.ready
        elif slot.container is not None:
            slot.note_exit()
