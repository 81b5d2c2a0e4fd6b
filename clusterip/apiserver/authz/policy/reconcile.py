"""Keeping the default policy in the cluster: what is missing is added whenever a server starts.

As ``pkg/registry/rbac/rest`` and ``k8s.io/component-helpers/auth/rbac/reconciliation``: permissions and
subjects that somebody took away come back, those that somebody added stay. The annotation
``rbac.authorization.kubernetes.io/autoupdate: "false"`` on an object leaves it alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

from clusterip.apiserver.authn import SERVER
from clusterip.apiserver.authz.covering import missing
from clusterip.apiserver.authz.policy.defaults import default_objects
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.status import StatusError
from clusterip.objects.meta import DeleteOptions, Preconditions
from clusterip.objects.registry import Resource

AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_ATTEMPTS = 3


async def bootstrap_policy(objects: Objects) -> None:
    """Create what of the default policy is missing and complete what is there, all at once.

    Raises:
        StatusError: that cannot be done.
    """
    await objects.cache.current()
    work = [
        _reconcile(objects, resource, wanted)
        for resource, wanted in default_objects()
        if not _is_as_wanted(objects, resource, wanted)
    ]
    await asyncio.gather(*work)


def _is_as_wanted(objects: Objects, resource: Resource[Any], wanted: Any) -> bool:
    entry = objects.cache.of(resource).get(wanted.metadata.namespace, wanted.metadata.name)
    return entry is not None and not _complete(entry.decode(), wanted)


async def _reconcile(objects: Objects, resource: Resource[Any], wanted: Any) -> None:
    meta = wanted.metadata
    for _ in range(_ATTEMPTS):
        entry = objects.cache.of(resource).get(meta.namespace, meta.name)
        try:
            if entry is None:
                await objects.create(resource, meta.namespace, wanted, user=SERVER)
                return
            current = entry.decode()
            if current.metadata.annotations.get(AUTOUPDATE) == "false":
                return
            if getattr(current, "roleRef", None) != getattr(wanted, "roleRef", None):
                # A binding cannot be changed to give another role.
                options = DeleteOptions(preconditions=Preconditions(uid=current.metadata.uid))
                await objects.delete(resource, meta.namespace, meta.name, options, user=SERVER)
            else:
                await objects.update(
                    resource, meta.namespace, meta.name, lambda now: _completed(now, wanted), user=SERVER
                )
                return
        except StatusError as error:
            # Another server may do the same just now, or somebody work on the same object.
            if error.status.reason not in ("AlreadyExists", "NotFound", "Conflict"):
                raise
        await objects.cache.current()


def _completed(current: Any, wanted: Any) -> Any:
    _complete(current, wanted)
    return current


def _complete(current: Any, wanted: Any) -> bool:
    """Add to ``current`` what it lacks of ``wanted``; whether it lacked anything."""
    meta = current.metadata
    changed = False
    if meta.annotations.get(AUTOUPDATE) == "false":
        return False
    for name in ("annotations", "labels"):
        now = getattr(meta, name)
        merged = {**getattr(wanted.metadata, name), **now}
        if merged != now:
            setattr(meta, name, merged)
            changed = True
    if hasattr(wanted, "roleRef"):
        lacking = [subject for subject in wanted.subjects if subject not in current.subjects]
        current.subjects = [*current.subjects, *lacking]
        return changed or bool(lacking) or current.roleRef != wanted.roleRef
    aggregation = getattr(wanted, "aggregationRule", None)
    if aggregation is None and current.rules != wanted.rules:
        rules = missing(current.rules, wanted.rules)
        current.rules = [*current.rules, *rules]
        changed = changed or bool(rules)
    if getattr(current, "aggregationRule", None) != aggregation:
        changed = _complete_aggregation(current, aggregation) or changed
    return changed


def _complete_aggregation(current: Any, wanted: Any) -> bool:
    if wanted is None or current.aggregationRule is None:
        current.aggregationRule = wanted
        return True
    selectors = current.aggregationRule.clusterRoleSelectors
    lacking = [selector for selector in wanted.clusterRoleSelectors if selector not in selectors]
    current.aggregationRule.clusterRoleSelectors = [*selectors, *lacking]
    return bool(lacking)
