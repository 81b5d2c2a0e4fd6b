"""Which kind and which objects a person means: ``svc``, ``pods,svc``, ``deploy/my-app``, ``pod a b``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clusterip.cli.connection import CommandError
from clusterip.cli.suggesting import did_you_mean
from clusterip.objects import kinds
from clusterip.objects.registry import Resource, resources

_ = kinds  # importing it registers every kind

ALL = ("pods", "services", "deployments", "replicasets")
"""What ``all`` stands for, in kubectl's order."""


@dataclass(frozen=True)
class Target:
    """Objects of one kind; all of them if there are no ``names``."""

    resource: Resource[Any]
    names: tuple[str, ...] = ()


def find(text: str) -> Resource[Any]:
    """A kind by its plural, singular or short name, its kind, or ``plural.group``.

    Raises:
        CommandError: there is none.
    """
    wanted = text.lower()
    for resource in resources():
        known = {resource.plural, resource.kind.lower(), resource.singular, *resource.short_names}
        qualified = {f"{name}.{resource.group}" for name in known}
        versioned = {f"{name}.{resource.version}.{resource.group}" for name in known}
        if wanted in known | qualified | versioned:
            return resource
    names = {name for resource in resources() for name in (resource.plural, resource.singular)}
    hint = did_you_mean(wanted, names)
    raise CommandError(f'error: the server doesn\'t have a resource type "{text}"{hint}')


def targets(arguments: Sequence[str]) -> list[Target]:
    """What the arguments of ``get`` or ``delete`` mean.

    Raises:
        CommandError: they mean nothing.
    """
    if not arguments:
        raise CommandError("error: you must say which type of resource, for example: pods")
    if any("/" in argument for argument in arguments):
        return [_pair(argument) for argument in arguments]
    types, names = arguments[0].split(","), tuple(arguments[1:])
    plurals = [plural for each in types for plural in (ALL if each == "all" else (each,))]
    return [Target(find(plural), names) for plural in plurals]


def _pair(argument: str) -> Target:
    kind, slash, name = argument.partition("/")
    if not slash:
        raise CommandError(
            "error: there is no need to specify a resource type as a separate argument when passing "
            "arguments in resource/name form (e.g. 'clusterip get resource/<resource_name>' instead of "
            "'clusterip get resource resource/<resource_name>'"
        )
    if not kind or not name or "/" in name:
        raise CommandError(
            "error: arguments in resource/name form may not have more than one slash"
            if "/" in name
            else f'error: arguments in resource/name form must have a single resource and name: "{argument}"'
        )
    return Target(find(kind), (name,))


def shown_name(resource: Resource[Any], name: str) -> str:
    """``service/my-service`` or ``deployment.apps/my-app``, as kubectl names an object."""
    kind = resource.kind.lower()
    return f"{kind}.{resource.group}/{name}" if resource.group else f"{kind}/{name}"
