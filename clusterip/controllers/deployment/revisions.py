"""Which ReplicaSet is the current one, and the annotations that ``kubectl rollout`` works with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusterip.controllers.deployment.limits import max_surge, replicas_of
from clusterip.controllers.deployment.templates import same_template
from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.apps.replicaset import ReplicaSet

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"

_NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
}
_HISTORY_CHARACTERS = 2000


def by_age(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Oldest first; names decide between those of one second, as upstream."""
    return sorted(sets, key=lambda rs: (rs.metadata.creationTimestamp or "", rs.metadata.name))


def find_new(deployment: Deployment, sets: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """The ReplicaSet with the Deployment's template; the oldest, should there ever be two."""
    template = deployment.spec.template
    return next((rs for rs in by_age(sets) if same_template(rs.spec.template, template)), None)


def revision_of(replica_set: ReplicaSet) -> int:
    text = replica_set.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def annotate_new(deployment: Deployment, replica_set: ReplicaSet, revision: int, *, exists: bool) -> bool:
    """Give the current ReplicaSet its annotations; whether this changed any.

    A ReplicaSet that becomes current again (a rollback) gets a new revision and remembers the old.
    """
    annotations = replica_set.metadata.annotations
    before = dict(annotations)
    for key, value in deployment.metadata.annotations.items():
        if key not in _NOT_COPIED:
            annotations[key] = value
    old = revision_of(replica_set)
    if old < revision:
        if REVISION in annotations:
            annotations[REVISION_HISTORY] = _extended(annotations.get(REVISION_HISTORY, ""), old)
        annotations[REVISION] = str(revision)
    if not exists:
        annotate_size(deployment, replica_set)
    return annotations != before


def annotate_size(deployment: Deployment, replica_set: ReplicaSet) -> bool:
    """Note for which size of the Deployment the ReplicaSet was scaled; whether that was news."""
    wanted = {
        DESIRED_REPLICAS: str(replicas_of(deployment)),
        MAX_REPLICAS: str(replicas_of(deployment) + max_surge(deployment)),
    }
    annotations = replica_set.metadata.annotations
    if wanted.items() <= annotations.items():
        return False
    annotations.update(wanted)
    return True


def noted_number(replica_set: ReplicaSet, annotation: str) -> int | None:
    text = replica_set.metadata.annotations.get(annotation, "")
    return int(text) if text.isdecimal() else None


def _extended(history: str, revision: int) -> str:
    revisions = [text for text in history.split(",") if text] + [str(revision)]
    while len(",".join(revisions)) > _HISTORY_CHARACTERS:
        revisions.pop(0)
    return ",".join(revisions)
