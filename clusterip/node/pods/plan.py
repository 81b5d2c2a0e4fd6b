"""What is to be done next with a Pod's containers, worked out from how they are."""

from __future__ import annotations

from collections.abc import Sequence

from clusterip.node.pods.slot import Slot
from clusterip.objects.core.pod_spec import PodSpec


def has_begun(slots: Sequence[Slot]) -> bool:
    """Whether the Pod is past its initialization: an ordinary container has been run."""
    return any(slot.kind == "regular" and slot.begun for slot in slots)


def due(slots: Sequence[Slot]) -> list[Slot]:
    """The containers that should run now: one after the other the init ones, then all the rest.

    Sidecars stay due once their turn has come; init containers are not run again later. Ephemeral ones do
    not wait for others: they may be there to find out why those do not start.
    """
    found = [slot for slot in slots if slot.kind == "ephemeral"]
    initializing = not has_begun(slots)
    for slot in slots:
        if slot.kind == "init" and not slot.succeeded:
            return [*found, slot] if initializing else found
        if slot.kind == "sidecar":
            found.append(slot)
            if initializing and not slot.started:
                return found
    return found + [slot for slot in slots if slot.kind == "regular"]


def could_start(slot: Slot) -> bool:
    """Whether nothing is under way for a container that may have work left."""
    if slot.running or slot.busy:
        return False
    return not (slot.kind == "init" and slot.succeeded) and not (slot.kind == "ephemeral" and slot.exit)


def is_done(slots: Sequence[Slot], spec: PodSpec) -> bool:
    """Whether no container will run any more by its own doing; sidecars and ephemeral ones do not count."""
    if any(slot.busy for slot in slots):
        return False
    for slot in slots:
        if slot.kind == "init" and slot.exit and slot.exit.code and not slot.restarts(spec):
            return True
    regular = [slot for slot in slots if slot.kind == "regular"]
    return all(slot.exit is not None and not slot.restarts(spec) for slot in regular)
