"""One pass over one Deployment: reads what it is given, does the writes, remembers the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clusterip.client.errors import ApiError
from clusterip.client.events import EventRecorder
from clusterip.client.rest import Client
from clusterip.controllers.copying import deep_copy
from clusterip.controllers.deployment import revisions, scaling, status
from clusterip.controllers.deployment.limits import replicas_of
from clusterip.controllers.deployment.revisions import annotate_new, annotate_size, find_new, revision_of
from clusterip.controllers.deployment.scaling import Sizes, size
from clusterip.controllers.deployment.templates import HASH_LABEL, same_template, template_hash
from clusterip.controllers.owners import controller_of, controller_reference
from clusterip.objects.apps.deployment import Deployment, DeploymentStatus
from clusterip.objects.apps.replicaset import ReplicaSet, ReplicaSetSpec
from clusterip.objects.meta import LabelSelector, Object, ObjectMeta
from clusterip.process.log import Logger

_NAME_LIMIT = 253


class Rollout:
    """The Deployment (a private copy), its current ReplicaSet ``new`` if it exists, and the ``old`` ones."""

    def __init__(
        self,
        client: Client,
        deployment: Deployment,
        sets: Sequence[ReplicaSet],
        events: EventRecorder,
        log: Logger,
        wrote: Callable[[Object], None],
    ) -> None:
        self.deployment = deployment
        self.new = find_new(deployment, sets)
        self.old = [rs for rs in sets if self.new is None or rs.metadata.uid != self.new.metadata.uid]
        self._client = client
        self._events = events
        self._log = log
        self._wrote = wrote

    @property
    def sets(self) -> list[ReplicaSet]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    async def number_revisions(self) -> None:
        """Give the current ReplicaSet the highest revision, and tell the Deployment which that is."""
        if self.new is None:
            return
        changed = deep_copy(self.new)
        annotated = annotate_new(self.deployment, changed, self._next_revision(), exists=True)
        if annotated or changed.spec.minReadySeconds != self.deployment.spec.minReadySeconds:
            changed.spec.minReadySeconds = self.deployment.spec.minReadySeconds
            self.new = await self._update_set(changed)
        await self._note_revision(
            "FoundNewReplicaSet", f'Found new replica set "{self.new.metadata.name}"', self.new
        )

    async def ensure_new(self) -> ReplicaSet:
        """The current ReplicaSet, created if there is none. Raises ApiError if it cannot be."""
        if self.new is not None:
            return self.new
        wanted = self._fresh_set()
        try:
            created = await self._client.create(wanted)
            exists = False
        except ApiError as error:
            if not error.is_already_exists:
                await self._report_failure(wanted, error)
                raise
            created = await self._existing(wanted, error)
            exists = True
        self._wrote(created)
        self.new = created
        count = size(created)
        if not exists:
            self._log.info("replicaset created", replicaset=created.metadata.name, replicas=count)
        if count > 0 and not exists:
            self._tell(f"Scaled up replica set {created.metadata.name} from 0 to {count}")
        await self._note_revision(
            "NewReplicaSetCreated", f'Created new replica set "{created.metadata.name}"', created
        )
        return created

    async def resize(self, sizes: Sizes, *, note: bool = False) -> bool:
        """Scale ReplicaSets; ``note`` also renews the size annotations of those that keep their size.

        Returns whether any size changed.
        """
        scaled = False
        for current in self.sets:
            wanted = sizes.get(current.metadata.name)
            if wanted is None or (wanted == size(current) and not note):
                continue
            changed = deep_copy(current)
            before, changed.spec.replicas = size(current), wanted
            if not annotate_size(self.deployment, changed) and wanted == before:
                continue
            self._replace(await self._update_set(changed))
            if wanted != before:
                scaled = True
                direction = "up" if wanted > before else "down"
                name = current.metadata.name
                self._tell(f"Scaled {direction} replica set {name} from {before} to {wanted}")
                self._log.info("replicaset scaled", replicaset=name, before=before, after=wanted)
        return scaled

    async def clean_up(self) -> None:
        """Delete the oldest ReplicaSets beyond ``revisionHistoryLimit``."""
        for each in scaling.surplus(self.deployment, self.old):
            meta = each.metadata
            try:
                await self._client.delete(ReplicaSet, meta.name, meta.namespace, uid=meta.uid)
            except ApiError as error:
                if not (error.is_not_found or error.is_conflict):
                    raise
            self.old.remove(each)
            self._log.info("old replicaset deleted", replicaset=meta.name)

    async def write_status(self, wanted: DeploymentStatus) -> None:
        if wanted == self.deployment.status:
            return
        self.deployment.status = wanted
        await self._save_status()

    def _fresh_set(self) -> ReplicaSet:
        deployment = self.deployment
        template = deep_copy(deployment.spec.template)
        digest = template_hash(template, deployment.status.collisionCount)
        template.metadata.labels[HASH_LABEL] = digest
        selector = deep_copy(deployment.spec.selector or LabelSelector())
        selector.matchLabels[HASH_LABEL] = digest
        fresh = ReplicaSet(
            metadata=ObjectMeta(
                name=f"{deployment.metadata.name[: _NAME_LIMIT - len(digest) - 1]}-{digest}",
                namespace=deployment.metadata.namespace,
                labels=dict(template.metadata.labels),
                ownerReferences=[controller_reference(deployment)],
            ),
            spec=ReplicaSetSpec(
                replicas=scaling.new_size(deployment, self.old, 0),
                minReadySeconds=deployment.spec.minReadySeconds,
                selector=selector,
                template=template,
            ),
        )
        annotate_new(deployment, fresh, self._next_revision(), exists=False)
        return fresh

    async def _existing(self, wanted: ReplicaSet, error: ApiError) -> ReplicaSet:
        """The ReplicaSet that has our name: ours from a pass whose answer got lost, or a hash collision."""
        meta = wanted.metadata
        found = await self._client.get(ReplicaSet, meta.name, meta.namespace)
        owner = controller_of(found.metadata)
        if (
            owner is not None
            and owner.uid == self.deployment.metadata.uid
            and same_template(found.spec.template, wanted.spec.template)
        ):
            return found
        self.deployment.status.collisionCount = (self.deployment.status.collisionCount or 0) + 1
        await self._save_status()
        raise error

    async def _report_failure(self, wanted: ReplicaSet, error: ApiError) -> None:
        if error.is_namespace_terminating:
            return
        message = f'Failed to create new replica set "{wanted.metadata.name}": {error}'
        self._events.event(self.deployment, "Warning", "ReplicaSetCreateError", message)
        if status.has_deadline(self.deployment):
            changed = deep_copy(self.deployment.status)
            status.set_condition(changed, status.PROGRESSING, "False", "ReplicaSetCreateError", message)
            await self.write_status(changed)

    async def _note_revision(self, reason: str, message: str, new: ReplicaSet) -> None:
        """Copy the current revision to the Deployment, and begin to measure progress."""
        annotations = self.deployment.metadata.annotations
        revision = new.metadata.annotations.get(revisions.REVISION, "")
        changed = annotations.get(revisions.REVISION) != revision
        annotations[revisions.REVISION] = revision
        known = status.condition_of(self.deployment.status, status.PROGRESSING)
        created = reason == "NewReplicaSetCreated"
        if status.has_deadline(self.deployment) and (created or known is None):
            status.set_condition(self.deployment.status, status.PROGRESSING, "True", reason, message)
            changed = True
        if changed:
            await self._save_status()

    async def _save_status(self) -> None:
        # The answer carries the new resource version, which the next write of this pass needs.
        self.deployment = await self._client.update_status(self.deployment)
        self._wrote(self.deployment)

    async def _update_set(self, changed: ReplicaSet) -> ReplicaSet:
        updated = await self._client.update(changed)
        self._wrote(updated)
        return updated

    def _replace(self, updated: ReplicaSet) -> None:
        uid = updated.metadata.uid
        if self.new is not None and self.new.metadata.uid == uid:
            self.new = updated
        self.old = [updated if rs.metadata.uid == uid else rs for rs in self.old]

    def _next_revision(self) -> int:
        return max((revision_of(rs) for rs in self.old), default=0) + 1

    def _tell(self, message: str) -> None:
        self._events.event(self.deployment, "Normal", "ScalingReplicaSet", message)


async def roll(rollout: Rollout) -> None:
    """One step of a rolling update: the new version grows, then the old ones shrink."""
    new = await rollout.ensure_new()
    deployment = rollout.deployment
    wanted = replicas_of(deployment)
    grown = wanted if size(new) > wanted else scaling.new_size(deployment, rollout.sets, size(new))
    if await rollout.resize({new.metadata.name: grown}):
        return
    await rollout.resize(scaling.shrunk(deployment, rollout.new or new, rollout.old))


async def recreate(rollout: Rollout, old_pods_exist: Callable[[ReplicaSet | None], bool]) -> None:
    """One step of a replacement: every old Pod has to be gone before the first new one is made."""
    running = scaling.active(rollout.old)
    if await rollout.resize({rs.metadata.name: 0 for rs in running}):
        return
    if any(rs.status.replicas for rs in rollout.old) or old_pods_exist(rollout.new):
        return
    new = await rollout.ensure_new()
    await rollout.resize({new.metadata.name: replicas_of(rollout.deployment)})
