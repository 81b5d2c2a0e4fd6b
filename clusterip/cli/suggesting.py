"""Names like the one that is not known, for those who mistyped it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clusterip.cli.connection import Session
    from clusterip.client.errors import ApiError


def did_you_mean(wrong: str, known: Iterable[str], *, before: str = "\n", likeness: float = 0.6) -> str:
    """What to put after an error about a name that is not known; empty if none is like it.

    ``before`` parts it from the error; ``likeness`` is the least, from 0 to 1.
    """
    close = difflib.get_close_matches(wrong, [name for name in known if name], n=3, cutoff=likeness)
    return f"{before}Did you mean {' or '.join(map(repr, close))}?" if close else ""


async def similar(session: Session, error: ApiError) -> str:
    """If an object is not there: which ones are, of names that look like its."""
    from clusterip.client.errors import ApiError, Unreachable
    from clusterip.objects.registry import resources

    details = error.status.details
    if error.status.reason != "NotFound" or details is None or not details.name:
        return ""
    for resource in resources():
        if (resource.plural, resource.group) == (details.kind, details.group):
            try:
                namespace = session.namespace if resource.namespaced else ""
                found = await session.client.list(resource.type, namespace)
            except (ApiError, Unreachable):
                return ""
            return did_you_mean(details.name, (each.metadata.name for each in found.items))
    return ""
