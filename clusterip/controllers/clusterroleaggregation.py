"""ClusterRoles that are made of others: each gets the rules of those that its selectors name.

As ``pkg/controller/clusterroleaggregation``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller
from clusterip.objects.rbac.clusterrole import CLUSTERROLES, ClusterRole
from clusterip.objects.rbac.rules import PolicyRule
from clusterip.objects.selectors import from_label_selector

_MANAGER = "clusterrole-aggregation-controller"


class ClusterRoleAggregationController(Controller[str]):
    """Looks at all aggregated roles whenever any role changes: there are few, and it is cheap to."""

    name = "clusterrole-aggregation-controller"
    component = "clusterrole-aggregation-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._roles = self.informer(CLUSTERROLES)
        self._roles.on_change(self._changed)

    async def sync(self, key: str) -> None:
        role = self._roles.get("", key)
        if role is None or role.aggregationRule is None:
            return
        rules = list(self._aggregated(role))
        if rules == role.rules:
            return
        body: dict[str, Any] = {
            "apiVersion": CLUSTERROLES.api_version,
            "kind": CLUSTERROLES.kind,
            "metadata": {"name": key},
            "rules": rules,
        }
        await self.client.patch(ClusterRole, key, "", body, kind="apply", field_manager=_MANAGER, force=True)
        self.log.info("rules aggregated", clusterrole=key, rules=len(rules))

    def _aggregated(self, role: ClusterRole) -> Iterator[PolicyRule]:
        assert role.aggregationRule is not None
        others = sorted(self._roles.objects.values(), key=lambda other: other.metadata.name)
        given: list[PolicyRule] = []
        for label_selector in role.aggregationRule.clusterRoleSelectors:
            selector = from_label_selector(label_selector)
            for other in others:
                if other.metadata.name == role.metadata.name or not selector.matches(other.metadata.labels):
                    continue
                for rule in other.rules:
                    if rule not in given:
                        given.append(rule)
                        yield rule

    def _changed(self, old: ClusterRole | None, new: ClusterRole | None) -> None:
        for role in self._roles.objects.values():
            if role.aggregationRule is not None:
                self.queue.add(role.metadata.name)
