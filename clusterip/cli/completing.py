"""What the shell offers when a person presses Tab: kinds, and the names of objects that the cluster has.

``clusterip completion`` sets it up. A cluster that does not answer within a moment has nothing to offer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_PATIENCE = 2.0
"""Seconds to wait for the API server."""


def objects(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For ``get`` and ``delete``: a kind first, then names; or ``kind/name``."""
    given = list(context.params.get(parameter.name or "") or ())
    if "/" in incomplete:
        return _of_kind(context, incomplete)
    if given and "/" not in given[0]:
        return _items(_names(context, given[0].split(",")[0]), incomplete)
    before, comma, last = incomplete.rpartition(",")
    return _items((f"{before}{comma}{each}" for each in _kinds(last)), incomplete)


def pods(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For ``logs`` and ``exec``: Pods, or other kinds that have some, as ``kind/name``."""
    return _of_kind(context, incomplete) if "/" in incomplete else _items(_names(context, "pods"), incomplete)


def services(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For ``explain`` and ``trace``."""
    return _items(_names(context, "services"), incomplete)


def clients(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For ``trace --from``: ``pod/NAME``, ``node/NAME`` or ``external``."""
    if "/" in incomplete:
        return _of_kind(context, incomplete)
    return _items(("pod/", "node/", "external"), incomplete)


def nodes(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _items(_names(context, "nodes"), incomplete)


def namespaces(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _items(_names(context, "namespaces"), incomplete)


def _of_kind(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """For ``kind/``: ``kind/name`` of each."""
    kind, _, _ = incomplete.partition("/")
    return _items((f"{kind}/{each}" for each in _names(context, kind)), incomplete)


def _items(values: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(value) for value in values if value.startswith(incomplete)]


def _kinds(incomplete: str) -> list[str]:
    from clusterip.objects import kinds
    from clusterip.objects.registry import resources

    _ = kinds  # importing it registers every kind
    known = sorted({resource.plural for resource in resources()})
    short = sorted({name for resource in resources() for name in resource.short_names})
    found = [name for name in known if name.startswith(incomplete)]
    return found or [name for name in short if name.startswith(incomplete)]


def _names(context: click.Context, kind: str) -> list[str]:
    from clusterip.cli.connection import CommandError, local_kubeconfig
    from clusterip.cli.resources import find
    from clusterip.client.config import ConfigError, load
    from clusterip.client.credentials import CredentialsError
    from clusterip.client.errors import ApiError, Unreachable
    from clusterip.client.rest import Client

    async def ask() -> list[str]:
        resource = find(kind)
        options = context.params
        config = load(options.get("kubeconfig") or local_kubeconfig(), options.get("context"))
        namespace = options.get("namespace") or config.namespace
        async with asyncio.timeout(_PATIENCE), Client(config) as client:
            found = await client.list(resource.type, namespace if resource.namespaced else "")
            return [each.metadata.name for each in found.items]

    try:
        return asyncio.run(ask())
    except (CommandError, ConfigError, CredentialsError, ApiError, Unreachable, TimeoutError):
        return []
