"""The number that a Pod's priority class stands for.

As ``plugin/pkg/admission/priority``, in a cluster whose only classes are the two that every cluster has.
"""

from __future__ import annotations

from clusterip.apiserver.admission.attributes import Attributes
from clusterip.apiserver.admission.plugin import Plugin
from clusterip.objects.core.pod import PODS, Pod

CLASSES = {"": 0, "system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""Priorities by the names of classes; Pods that name none have none."""

_PREEMPTION = "PreemptLowerPriority"


class Priority(Plugin):
    name = "Priority"
    operations = frozenset(("CREATE", "UPDATE"))
    resources = frozenset((PODS,))

    async def admit(self, attributes: Attributes) -> None:
        if attributes.subresource:
            return
        if attributes.operation == "CREATE":
            _resolve(attributes)
        else:
            _keep(attributes.obj, attributes.old)


def _resolve(attributes: Attributes) -> None:
    spec = attributes.obj.spec
    priority = CLASSES.get(spec.priorityClassName)
    if priority is None:
        raise attributes.forbidden(f"no PriorityClass with name {spec.priorityClassName} was found")
    if spec.priority not in (None, priority):
        raise attributes.forbidden(
            f"the integer value of priority ({spec.priority}) must not be provided in pod spec; priority "
            f"admission controller computed {priority} from the given PriorityClass name"
        )
    if spec.preemptionPolicy not in (None, _PREEMPTION):
        raise attributes.forbidden(
            f"the string value of PreemptionPolicy ({spec.preemptionPolicy}) must not be provided in pod "
            "spec; "
            f"priority admission controller computed {_PREEMPTION} from the given PriorityClass name"
        )
    spec.priority, spec.preemptionPolicy = priority, _PREEMPTION


def _keep(new: Pod, old: Pod) -> None:
    if new.spec.priority is None:
        new.spec.priority = old.spec.priority
    if new.spec.preemptionPolicy is None:
        new.spec.preemptionPolicy = old.spec.preemptionPolicy
