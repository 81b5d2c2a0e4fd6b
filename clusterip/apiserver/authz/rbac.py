"""Role-based access control: what Roles allow to those whom RoleBindings name.

As ``plugin/pkg/auth/authorizer/rbac`` and ``pkg/registry/rbac/validation/rule.go``. Everything is looked up
in the watch cache; what is drawn from it is kept until a role or binding changes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from clusterip.apiserver import status
from clusterip.apiserver.authn import User
from clusterip.apiserver.authz.decision import Decision, Rules
from clusterip.apiserver.authz.matching import any_covers
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.rbac.clusterrole import CLUSTERROLES
from clusterip.objects.rbac.clusterrolebinding import CLUSTERROLEBINDINGS
from clusterip.objects.rbac.role import ROLES
from clusterip.objects.rbac.rolebinding import ROLEBINDINGS
from clusterip.objects.rbac.rules import PolicyRule
from clusterip.objects.rbac.subjects import SERVICE_ACCOUNT, USER, RoleRef, Subject
from clusterip.objects.registry import Resource

_KINDS = (CLUSTERROLES, CLUSTERROLEBINDINGS, ROLES, ROLEBINDINGS)
_REMEMBERED_USERS = 4096


class UnknownRole(Exception):
    """A binding names a role that there is not."""

    def __init__(self, role: RoleRef, namespace: str) -> None:
        self.role = role
        self.namespace = namespace
        super().__init__(self.briefly)

    @property
    def briefly(self) -> str:
        """The same as upstream's caches say it, which name the resource in the singular."""
        return f'{self.role.kind.lower()}.{CLUSTERROLES.group} "{self.role.name}" not found'

    def answer(self, resource: Resource[Any]) -> status.StatusError:
        """What a request gets to hear that cannot be judged without the role.

        It names the request's own resource rather than the role's, as upstream does.
        """
        match self.role.kind:
            case "Role" if not self.namespace:
                return status.bad_request("Namespace parameter required.")
            case "ClusterRole" | "Role":
                return status.not_found(resource, self.role.name)
        return status.failure(500, "", f'unsupported role reference kind: "{self.role.kind}"')


@dataclass(frozen=True)
class Grant:
    """That a subject has a role through a binding, in a namespace or (if empty) everywhere."""

    binding: Entry
    role: RoleRef
    reason: str


@dataclass
class _Held:
    """What one user holds in one namespace."""

    grants: list[tuple[Grant, list[PolicyRule]]] = field(default_factory=list)
    errors: list[UnknownRole] = field(default_factory=list)


class Policy:
    """All roles and bindings at one moment, arranged for questions."""

    def __init__(self, cache: WatchCache) -> None:
        self._grants: dict[tuple[str, str], list[Grant]] = defaultdict(list)
        self._roles: dict[tuple[str, str], list[PolicyRule]] = {}
        self._order: dict[Entry, int] = {}
        self._held: dict[tuple[str, tuple[str, ...], str], _Held] = {}
        for entry in (*cache.of(CLUSTERROLES), *cache.of(ROLES)):
            self._roles[entry.namespace, entry.name] = entry.decode().rules
        for entry in (*cache.of(CLUSTERROLEBINDINGS).entries(), *cache.of(ROLEBINDINGS).entries()):
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        self._order[entry] = len(self._order)
        binding = entry.decode()
        role = binding.roleRef
        name = f"{entry.name}/{entry.namespace}" if entry.namespace else entry.name
        for subject in binding.subjects:
            key = _key(subject, entry.namespace)
            if key is not None:
                reason = (
                    f'RBAC: allowed by {entry.resource.kind} "{name}" of {role.kind} "{role.name}" '
                    f"to {_described(subject, entry.namespace)}"
                )
                self._grants[key].append(Grant(entry, role, reason))

    def held(self, user: User, namespace: str) -> _Held:
        """What the user has everywhere and, if one is given, in the namespace."""
        key = user.name, user.groups, namespace
        held = self._held.get(key)
        if held is None:
            if len(self._held) >= _REMEMBERED_USERS:
                self._held.clear()
            held = self._held[key] = self._find(user, namespace)
        return held

    def _find(self, user: User, namespace: str) -> _Held:
        scopes = ("", namespace)
        granted: dict[Entry, Grant] = {}
        for key in ((USER, user.name), *(("Group", group) for group in user.groups)):
            for grant in self._grants.get(key, ()):
                if grant.binding.namespace in scopes:
                    granted.setdefault(grant.binding, grant)
        held = _Held()
        for entry in sorted(granted, key=self._order.__getitem__):
            grant = granted[entry]
            try:
                held.grants.append((grant, self.rules_of(grant.role, entry.namespace)))
            except UnknownRole as error:
                held.errors.append(error)
        return held

    def rules_of(self, role: RoleRef, namespace: str) -> list[PolicyRule]:
        """The rules of a role that a binding in ``namespace`` (empty: a cluster-wide one) names.

        Raises:
            UnknownRole: there is none.
        """
        if role.kind == CLUSTERROLES.kind:
            rules = self._roles.get(("", role.name))
        else:
            rules = self._roles.get((namespace, role.name)) if role.kind == ROLES.kind and namespace else None
        if rules is None:
            raise UnknownRole(role, namespace)
        return rules


class Resolver:
    """Whose rules are which, by the roles and bindings of now."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._policy: Policy | None = None
        self._made_of: list[list[Entry]] = []

    def rules(self, user: User, namespace: str) -> tuple[list[PolicyRule], list[UnknownRole]]:
        """A user's rules everywhere and in the namespace, and what is wrong with their bindings."""
        held = self.policy().held(user, namespace)
        return [rule for _, rules in held.grants for rule in rules], held.errors

    def rules_of(self, role: RoleRef, namespace: str) -> list[PolicyRule]:
        """Raises UnknownRole as ``Policy.rules_of``."""
        return self.policy().rules_of(role, namespace)

    def policy(self) -> Policy:
        # The cache makes a new list of entries whenever one of them changes.
        now: list[list[Entry]] = [self._cache.of(kind).entries() for kind in _KINDS]
        unchanged = len(self._made_of) == len(now) and all(
            old is new for old, new in zip(self._made_of, now, strict=True)
        )
        if self._policy is None or not unchanged:
            self._policy, self._made_of = Policy(self._cache), now
        return self._policy


class RBAC:
    """Allows what the roles of a user, and of the user's groups, allow."""

    def __init__(self, cache: WatchCache) -> None:
        self._resolver = Resolver(cache)

    def decide(self, user: User, info: RequestInfo) -> Decision:
        held = self._resolver.policy().held(user, info.namespace)
        for grant, rules in held.grants:
            if any_covers(rules, info):
                return Decision(True, grant.reason)
        return Decision(False, f"RBAC: {_together(held.errors)}" if held.errors else "")

    def rules(self, user: User, namespace: str) -> Rules:
        held = self._resolver.policy().held(user, namespace)
        rules = [rule for _, each in held.grants for rule in each]
        return Rules(rules, errors=[_together(held.errors)] if held.errors else [])


def _together(errors: list[UnknownRole]) -> str:
    unique = list(dict.fromkeys(error.briefly for error in errors))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


def _key(subject: Subject, namespace: str) -> tuple[str, str] | None:
    if subject.kind != SERVICE_ACCOUNT:
        return subject.kind, subject.name
    where = subject.namespace or namespace
    return (USER, f"system:serviceaccount:{where}:{subject.name}") if where else None


def _described(subject: Subject, namespace: str) -> str:
    if subject.kind == SERVICE_ACCOUNT:
        return f'{subject.kind} "{subject.name}/{subject.namespace or namespace}"'
    return f'{subject.kind} "{subject.name}"'
