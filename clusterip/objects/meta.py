"""Metadata that every object carries, and the shapes shared by all API groups (``meta/v1``)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec

from clusterip.objects.base import ListMap, ListSet, Struct, always
from clusterip.objects.enums import LabelSelectorOperator, ManagedFieldsOperationType
from clusterip.objects.scalars import UID, ConditionStatus, Int64, Time


class Condition(Struct):
    """One aspect of an object's state, true, false or unknown, and since when."""

    type: str = always("")
    status: ConditionStatus = always("")
    observedGeneration: Int64 = 0
    lastTransitionTime: Time | None = always(None)
    reason: str = always("")
    message: str = always("")


class Preconditions(Struct):
    """What must hold for a delete to happen."""

    uid: str | None = None
    resourceVersion: str | None = None


class DeleteOptions(Struct):
    gracePeriodSeconds: int | None = None
    preconditions: Preconditions | None = None
    orphanDependents: bool | None = None
    propagationPolicy: str | None = None
    dryRun: list[str] = []
    ignoreStoreReadErrorWithClusterBreakingPotential: bool | None = None


class LabelSelectorRequirement(Struct):
    key: str = always("")
    operator: LabelSelectorOperator = always("")
    values: list[str] = []


class LabelSelector(Struct):
    """All of ``matchLabels`` and ``matchExpressions`` together; empty matches everything."""

    owned_whole: ClassVar[bool] = True

    matchLabels: dict[str, str] = {}
    matchExpressions: list[LabelSelectorRequirement] = []


class ShardInfo(Struct):
    selector: str = ""


class ListMeta(Struct):
    """What a list says of itself: its version, and how to get the rest of it."""

    selfLink: str = ""
    resourceVersion: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remainingItemCount: int | None = None
    shardInfo: ShardInfo | None = None


class ManagedFieldsEntry(Struct):
    """Which fields one manager set, for server-side apply."""

    manager: str = ""
    operation: ManagedFieldsOperationType = ""
    apiVersion: str = ""
    time: Time | None = None
    fieldsType: str = ""
    fieldsV1: dict[str, Any] | None = None
    subresource: str = ""


class OwnerReference(Struct):
    """The object without which this one is garbage."""

    owned_whole: ClassVar[bool] = True

    apiVersion: str = always("")
    kind: str = always("")
    name: str = always("")
    uid: UID = always("")
    controller: bool | None = None
    blockOwnerDeletion: bool | None = None


class ObjectMeta(Struct):
    name: str = ""
    generateName: str = ""
    namespace: str = ""
    selfLink: str = ""
    uid: UID = ""
    resourceVersion: str = ""
    generation: Int64 = 0
    creationTimestamp: Time | None = None
    deletionTimestamp: Time | None = None
    deletionGracePeriodSeconds: Int64 | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    ownerReferences: Annotated[list[OwnerReference], ListMap(("uid",), merge="uid")] = []
    finalizers: Annotated[list[str], ListSet(merge=True)] = []
    managedFields: list[ManagedFieldsEntry] = []


class StatusCause(Struct):
    """One thing wrong with one field."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(Struct):
    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: list[StatusCause] = []
    retryAfterSeconds: int = 0


class Status(Struct):
    """The answer to a request that failed, or that has nothing else to say."""

    kind: str = ""
    apiVersion: str = ""
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    status: str = ""
    message: str = ""
    reason: str = ""
    details: StatusDetails | None = None
    code: int = 0


class Object(Struct):
    """The base of every kind: what it is and who it is."""

    kind: str = ""
    apiVersion: str = ""
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
