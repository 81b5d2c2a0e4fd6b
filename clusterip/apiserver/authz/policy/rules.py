"""Short forms in which the default policy is written down."""

from __future__ import annotations

from dataclasses import dataclass, field

from clusterip.objects.rbac.rules import PolicyRule

READ = "get list watch"
WRITE = "create delete deletecollection patch update"
ALL_BUT_COLLECTION = "create delete get list patch update watch"
EVERYTHING = "create delete deletecollection get list patch update watch"

RBAC_GROUP = "rbac.authorization.k8s.io"
APPS = ("apps", "extensions")


@dataclass(frozen=True)
class DefaultRole:
    """A ClusterRole that every cluster has, and the users, groups and accounts bound to it.

    ``bound`` says that there is a binding even if it binds nobody, ``binding`` its name if that is not the
    role's. One in a ``namespace`` is a Role.
    """

    name: str
    rules: list[PolicyRule]
    labels: dict[str, str] = field(default_factory=dict)
    aggregates: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    bound: bool = False
    namespace: str = ""
    binding: str = ""

    @property
    def is_bound(self) -> bool:
        return bool(self.bound or self.users or self.groups or self.accounts)


def rule(verbs: str, groups: str | tuple[str, ...], resources: str, *names: str) -> PolicyRule:
    """``verbs`` on ``resources`` of API groups (core is empty); lists are words between spaces."""
    return PolicyRule(
        verbs=verbs.split(),
        apiGroups=[groups] if isinstance(groups, str) else list(groups),
        resources=resources.split(),
        resourceNames=list(names),
    )


def urls(verbs: str, *paths: str) -> PolicyRule:
    """``verbs`` on paths outside of the resources."""
    return PolicyRule(verbs=verbs.split(), nonResourceURLs=list(paths))


EVENTS = rule("create patch update", ("", "events.k8s.io"), "events")
