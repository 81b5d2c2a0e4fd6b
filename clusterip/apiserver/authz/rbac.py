"""Role-based access control: what Roles allow to those whom RoleBindings name.

As ``plugin/pkg/auth/authorizer/rbac``. Everything is looked up in the watch cache; what is drawn from
it is kept until a role or binding changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from clusterip.apiserver.authn import User
from clusterip.apiserver.authz.decision import Decision
from clusterip.apiserver.authz.matching import any_covers
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.rbac.clusterrole import CLUSTERROLES, ClusterRole
from clusterip.objects.rbac.clusterrolebinding import CLUSTERROLEBINDINGS
from clusterip.objects.rbac.role import ROLES
from clusterip.objects.rbac.rolebinding import ROLEBINDINGS
from clusterip.objects.rbac.rules import PolicyRule
from clusterip.objects.rbac.subjects import SERVICE_ACCOUNT, USER, RoleRef, Subject
from clusterip.objects.selectors import SelectorError, from_label_selector

_KINDS = (CLUSTERROLES, CLUSTERROLEBINDINGS, ROLES, ROLEBINDINGS)


@dataclass(frozen=True)
class Grant:
    """That a subject has a role, in a namespace or (if empty) everywhere."""

    namespace: str
    role: RoleRef
    reason: str


class Policy:
    """All roles and bindings, arranged for questions."""

    def __init__(self, cache: WatchCache) -> None:
        self._grants: dict[tuple[str, str], list[Grant]] = defaultdict(list)
        self._roles: dict[tuple[str, str], list[PolicyRule]] = {}
        cluster_roles: list[ClusterRole] = [entry.decode() for entry in cache.of(CLUSTERROLES)]
        for role in cluster_roles:
            self._roles["", role.metadata.name] = _aggregated(role, cluster_roles)
        for entry in cache.of(ROLES):
            self._roles[entry.namespace, entry.name] = entry.decode().rules
        for entry in (*cache.of(CLUSTERROLEBINDINGS), *cache.of(ROLEBINDINGS)):
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        binding = entry.decode()
        role = binding.roleRef
        name = f"{entry.name}/{entry.namespace}" if entry.namespace else entry.name
        for subject in binding.subjects:
            reason = (
                f'RBAC: allowed by {entry.resource.kind} "{name}" of {role.kind} "{role.name}" '
                f"to {_described(subject)}"
            )
            self._grants[_key(subject, entry.namespace)].append(Grant(entry.namespace, role, reason))

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """What the user has everywhere, then what in the namespace."""
        keys = [(USER, user.name), *(("Group", group) for group in user.groups)]
        for scope in ("", namespace) if namespace else ("",):
            for key in keys:
                yield from (grant for grant in self._grants.get(key, ()) if grant.namespace == scope)

    def rules(self, grant: Grant) -> list[PolicyRule]:
        """What a grant allows; nothing if there is no such role."""
        namespace = "" if grant.role.kind == CLUSTERROLES.kind else grant.namespace
        return self._roles.get((namespace, grant.role.name), [])


class RBAC:
    """Allows what the roles of a user, and of the user's groups, allow."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._policy: Policy | None = None
        self._made_of: list[list[Entry]] = []

    def decide(self, user: User, info: RequestInfo) -> Decision:
        policy = self._current()
        for grant in policy.grants(user, info.namespace):
            if any_covers(policy.rules(grant), info):
                return Decision(True, grant.reason)
        return Decision(False)

    def rules(self, user: User, namespace: str) -> list[PolicyRule]:
        policy = self._current()
        return [rule for grant in policy.grants(user, namespace) for rule in policy.rules(grant)]

    def _current(self) -> Policy:
        # The cache makes a new list of entries whenever one of them changes.
        now: list[list[Entry]] = [self._cache.of(kind).entries() for kind in _KINDS]
        unchanged = len(self._made_of) == len(now) and all(
            old is new for old, new in zip(self._made_of, now, strict=True)
        )
        if self._policy is None or not unchanged:
            self._policy, self._made_of = Policy(self._cache), now
        return self._policy


def _aggregated(role: ClusterRole, others: list[ClusterRole]) -> list[PolicyRule]:
    """The rules of a role with those of the roles that its selectors name."""
    if role.aggregationRule is None:
        return role.rules
    rules = list(role.rules)
    for label_selector in role.aggregationRule.clusterRoleSelectors:
        try:
            selector = from_label_selector(label_selector)
        except SelectorError:
            continue  # validation keeps it out; a role that cannot be read allows nothing
        for other in others:
            if other is not role and selector.matches(other.metadata.labels):
                rules += (
                    other.rules
                    if other.aggregationRule is None
                    else _aggregated(other, _without(others, role))
                )
    return rules


def _without(roles: list[ClusterRole], one: ClusterRole) -> list[ClusterRole]:
    return [role for role in roles if role is not one]  # so that roles in a circle come to an end


def _key(subject: Subject, namespace: str) -> tuple[str, str]:
    if subject.kind == SERVICE_ACCOUNT:
        return USER, f"system:serviceaccount:{subject.namespace or namespace}:{subject.name}"
    return subject.kind, subject.name


def _described(subject: Subject) -> str:
    if subject.kind == SERVICE_ACCOUNT:
        return f'{subject.kind} "{subject.name}/{subject.namespace}"'
    return f'{subject.kind} "{subject.name}"'
