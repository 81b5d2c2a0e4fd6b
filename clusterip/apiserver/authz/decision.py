"""What authorizers say, and how several of them agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from clusterip.apiserver.authn import User
from clusterip.apiserver.router import RequestInfo
from clusterip.objects.rbac.rules import PolicyRule


class Decision(msgspec.Struct, frozen=True):
    """Whether something is allowed; ``reason`` is for people and may be empty.

    ``error`` is what kept the decision from being made properly.
    """

    allowed: bool
    reason: str = ""
    error: str = ""


@dataclass(frozen=True)
class Rules:
    """What somebody may do, as far as rules can tell. ``incomplete`` if they cannot tell all."""

    rules: list[PolicyRule] = field(default_factory=list)
    incomplete: bool = False
    errors: list[str] = field(default_factory=list)


class Authorizer(Protocol):
    def decide(self, user: User, info: RequestInfo) -> Decision:
        """Whether the user may do this. Not to be allowed here does not forbid it elsewhere."""
        ...

    def rules(self, user: User, namespace: str) -> Rules:
        """What the user may do in a namespace and outside of all, as far as rules can tell."""
        ...


class Union:
    """Allows what any of several authorizers allows."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = authorizers

    def decide(self, user: User, info: RequestInfo) -> Decision:
        reasons = []
        for authorizer in self._authorizers:
            decision = authorizer.decide(user, info)
            if decision.allowed:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons))

    def rules(self, user: User, namespace: str) -> Rules:
        found = [authorizer.rules(user, namespace) for authorizer in self._authorizers]
        return Rules(
            [rule for each in found for rule in each.rules],
            incomplete=any(each.incomplete for each in found),
            errors=[error for each in found for error in each.errors],
        )


def refusal(user: User, info: RequestInfo, reason: str) -> str:
    """What a user is told who may not do something, in kube-apiserver's words."""
    name, verb = json.dumps(user.name, ensure_ascii=False), info.verb
    if not info.plural:
        message = f'User {name} cannot {verb} path "{info.path}"'
    else:
        resource = f"{info.plural}/{info.subresource}" if info.subresource else info.plural
        message = f'User {name} cannot {verb} resource "{resource}" in API group "{info.group}"'
        message += f' in the namespace "{info.namespace}"' if info.namespace else " at the cluster scope"
    for character, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        message = message.replace(character, escape)
    return f"{message}: {reason}" if reason else message
