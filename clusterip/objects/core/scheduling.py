"""Where a Pod may run: affinity, tolerations, spreading."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from clusterip.objects.base import Struct, always, always_list
from clusterip.objects.enums import (
    NodeInclusionPolicy,
    NodeSelectorOperator,
    TaintEffect,
    TolerationOperator,
    UnsatisfiableConstraintAction,
)
from clusterip.objects.meta import LabelSelector
from clusterip.objects.scalars import Int32, Int64


class NodeSelectorRequirement(Struct):
    key: str = always("")
    operator: NodeSelectorOperator = always("")
    values: list[str] = []


class NodeSelectorTerm(Struct):
    owned_whole: ClassVar[bool] = True

    matchExpressions: list[NodeSelectorRequirement] = []
    matchFields: list[NodeSelectorRequirement] = []


class NodeSelector(Struct):
    owned_whole: ClassVar[bool] = True

    nodeSelectorTerms: list[NodeSelectorTerm] = always_list()


class PreferredSchedulingTerm(Struct):
    weight: Int32 = always(0)
    preference: NodeSelectorTerm = msgspec.field(default_factory=NodeSelectorTerm)


class NodeAffinity(Struct):
    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None = None
    preferredDuringSchedulingIgnoredDuringExecution: list[PreferredSchedulingTerm] = []


class PodAffinityTerm(Struct):
    """Pods that this one should be near to, or far from."""

    labelSelector: LabelSelector | None = None
    namespaces: list[str] = []
    topologyKey: str = always("")
    namespaceSelector: LabelSelector | None = None
    matchLabelKeys: list[str] = []
    mismatchLabelKeys: list[str] = []


class WeightedPodAffinityTerm(Struct):
    weight: Int32 = always(0)
    podAffinityTerm: PodAffinityTerm = msgspec.field(default_factory=PodAffinityTerm)


class PodAffinity(Struct):
    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm] = []
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm] = []


class PodAntiAffinity(Struct):
    requiredDuringSchedulingIgnoredDuringExecution: list[PodAffinityTerm] = []
    preferredDuringSchedulingIgnoredDuringExecution: list[WeightedPodAffinityTerm] = []


class Affinity(Struct):
    nodeAffinity: NodeAffinity | None = None
    podAffinity: PodAffinity | None = None
    podAntiAffinity: PodAntiAffinity | None = None


class Toleration(Struct):
    """Lets a Pod onto Nodes with a taint; without key it tolerates every taint."""

    key: str = ""
    operator: TolerationOperator = ""
    value: str = ""
    effect: TaintEffect = ""
    tolerationSeconds: Int64 | None = None


class TopologySpreadConstraint(Struct):
    """Keeps Pods evenly spread over zones, Nodes or other domains."""

    maxSkew: Int32 = always(0)
    topologyKey: str = always("")
    whenUnsatisfiable: UnsatisfiableConstraintAction = always("")
    labelSelector: LabelSelector | None = None
    minDomains: Int32 | None = None
    nodeAffinityPolicy: NodeInclusionPolicy | None = None
    nodeTaintsPolicy: NodeInclusionPolicy | None = None
    matchLabelKeys: list[str] = []
