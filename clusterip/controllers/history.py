"""The templates a workload had: ControllerRevisions, to which ``kubectl rollout undo`` goes back.

As ``pkg/controller/history``, with the form of the data that kubectl reads: a strategic merge patch that
replaces the template.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from clusterip.client.errors import ApiError
from clusterip.client.informer import Informer
from clusterip.client.rest import Client
from clusterip.controllers.context import BY_CONTROLLER
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.owners import claim, controller_reference
from clusterip.controllers.shorthash import short_hash
from clusterip.objects import codec
from clusterip.objects.apps.controllerrevision import ControllerRevision
from clusterip.objects.core.pod_spec import PodTemplateSpec
from clusterip.objects.meta import Object, ObjectMeta
from clusterip.objects.selectors import Selector

HASH_LABEL = "controller-revision-hash"
"""On revisions and Pods: which revision it is. DaemonSets write the hash alone, StatefulSets the name."""

_LONGEST_PREFIX = 223  # upstream's limit, so that with the hash the name still fits


class History:
    """The revisions of one workload. Take a new one for each sync."""

    def __init__(self, client: Client, informer: Informer[ControllerRevision], owner: Object) -> None:
        self._client = client
        self._informer = informer
        self._owner = owner

    async def revisions(self, selector: Selector) -> list[ControllerRevision]:
        """All revisions of the workload, the oldest first, orphans with the right labels adopted.

        Raises ApiError or Unreachable.
        """
        meta = self._owner.metadata
        owned = self._informer.by_index(BY_CONTROLLER, meta.uid)
        orphans = self._informer.by_index(BY_CONTROLLER, ("", meta.namespace))
        return sorted(await claim(self._client, self._owner, selector, [*owned, *orphans]), key=_age)

    async def record(
        self, template: PodTemplateSpec, revisions: Sequence[ControllerRevision], collisions: int
    ) -> tuple[ControllerRevision, int]:
        """The revision of this template, as the newest one, and the count of name collisions.

        Made if there is none yet; one that was current before becomes the newest again.
        """
        data = data_of(template)
        equal = [each for each in revisions if each.data == data]
        if not equal:
            return await self._create(template, data, next_number(revisions), collisions)
        found = equal[-1]
        if found is revisions[-1]:
            return found, collisions
        changed = deep_copy(found)
        changed.revision = next_number(revisions)
        return await self._client.update(changed), collisions

    async def truncate(
        self, revisions: Sequence[ControllerRevision], live: Collection[str], limit: int | None
    ) -> None:
        """Delete the oldest but ``limit`` revisions, apart from those whose names or hashes are ``live``."""
        if limit is None or limit < 0:
            return
        past = [r for r in revisions if r.metadata.name not in live and hash_of(r) not in live]
        for each in past[: max(len(past) - limit, 0)]:
            await self.delete(each)

    async def delete(self, revision: ControllerRevision) -> None:
        meta = revision.metadata
        try:
            await self._client.delete(ControllerRevision, meta.name, meta.namespace, uid=meta.uid)
        except ApiError as error:
            if not (error.is_not_found or error.is_conflict):
                raise

    async def _create(
        self, template: PodTemplateSpec, data: dict[str, Any], number: int, collisions: int
    ) -> tuple[ControllerRevision, int]:
        owner = self._owner.metadata
        while True:
            hashed = short_hash(data, collisions)
            revision = ControllerRevision(
                metadata=ObjectMeta(
                    name=f"{owner.name[:_LONGEST_PREFIX]}-{hashed}",
                    namespace=owner.namespace,
                    labels={**template.metadata.labels, HASH_LABEL: hashed},
                    annotations=dict(owner.annotations),
                    ownerReferences=[controller_reference(self._owner)],
                ),
                data=data,
                revision=number,
            )
            try:
                return await self._client.create(revision), collisions
            except ApiError as error:
                if not error.is_already_exists:
                    raise
            meta = revision.metadata
            existing = await self._client.get(ControllerRevision, meta.name, meta.namespace)
            if existing.data == data and any(o.uid == owner.uid for o in existing.metadata.ownerReferences):
                return existing, collisions
            collisions += 1


def data_of(template: PodTemplateSpec) -> dict[str, Any]:
    """What a revision of this template holds."""
    return {"spec": {"template": {**codec.to_tree(template), "$patch": "replace"}}}


def template_of(revision: ControllerRevision) -> PodTemplateSpec:
    """The template that a revision holds."""
    tree = {key: value for key, value in revision.data["spec"]["template"].items() if key != "$patch"}
    return codec.convert(tree, PodTemplateSpec)


def hash_of(revision: ControllerRevision) -> str:
    return revision.metadata.labels.get(HASH_LABEL, revision.metadata.name)


def next_number(revisions: Sequence[ControllerRevision]) -> int:
    return max((each.revision for each in revisions), default=0) + 1


def _age(revision: ControllerRevision) -> tuple[int, str, str]:
    meta = revision.metadata
    return revision.revision, meta.creationTimestamp or "", meta.name
