"""Applying manifests: create what is missing, change what is otherwise, leave the rest.

The manifest is kept in the object's annotation, in kubectl's own form, so that kubectl and clusterip can
take turns on the same objects.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import click

from clusterip.cli import three_way
from clusterip.cli.connection import CommandError, Session, describe
from clusterip.cli.documents import Document, as_json
from clusterip.cli.resources import shown_name
from clusterip.client.errors import ApiError
from clusterip.client.rest import PATCH_TYPES

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MANAGER = "clusterip-client-side-apply"
_ATTEMPTS = 5

Tree = dict[str, Any]


async def apply_all(session: Session, documents: list[Document], *, dry_run: bool) -> None:
    """Apply documents in order and say what became of each.

    Raises:
        CommandError: some could not be applied; the others were.
    """
    errors: list[str] = []
    for document in documents:
        try:
            verb = await _apply(session, document, dry_run)
        except CommandError as error:
            errors.append(str(error))
        except ApiError as error:
            errors.append(describe(error, doing=f'applying "{document.source}"'))
        else:
            note = " (server dry run)" if dry_run else ""
            click.echo(f"{shown_name(document.resource, document.name)} {verb}{note}")
    if errors:
        raise CommandError("\n".join(errors))


async def _apply(session: Session, document: Document, dry_run: bool) -> str:
    resource, name = document.resource, document.name
    if not name:
        raise CommandError(
            f'error: error when applying "{document.source}": resource name may not be empty; '
            "generateName cannot be used with apply"
        )
    namespace = _namespace(session, document)
    new = _annotated(document.tree, namespace)
    query: dict[str, str | list[str]] = {"fieldManager": _MANAGER, "fieldValidation": "Strict"}
    if dry_run:
        query["dryRun"] = "All"
    client, path = session.client, resource.path(namespace, name)
    for attempt in range(_ATTEMPTS):
        try:
            live: Tree = json.loads(await client.request("GET", path))
        except ApiError as error:
            if not error.is_not_found:
                raise
            body = as_json(new).encode()
            await client.request("POST", resource.path(namespace), query=query, body=body)
            return "created"
        change = three_way.patch(_last(live), new, live, resource.type)
        if not change:
            return "unchanged"
        try:
            await client.request(
                "PATCH",
                path,
                query=query,
                body=as_json(change).encode(),
                content_type=PATCH_TYPES["strategic"],
            )
        except ApiError as error:
            if error.is_conflict and attempt + 1 < _ATTEMPTS:
                continue
            raise
        return "configured"
    raise AssertionError("unreachable: the last attempt returns or raises")


def _namespace(session: Session, document: Document) -> str:
    if not document.resource.namespaced:
        return ""
    return document.namespace or session.namespace


def _annotated(tree: Tree, namespace: str) -> Tree:
    """The manifest as it is sent: with its namespace and, in an annotation, itself."""
    new = copy.deepcopy(tree)
    metadata = new.setdefault("metadata", {})
    if namespace:
        metadata["namespace"] = namespace
    annotations = metadata.setdefault("annotations", {})
    annotations.pop(LAST_APPLIED, None)
    annotations[LAST_APPLIED] = (
        as_json({**new, "metadata": {**metadata, "annotations": {**annotations}}}) + "\n"
    )
    return new


def _last(live: Tree) -> Tree:
    annotation = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    if not annotation:
        return {}
    try:
        last = json.loads(annotation)
    except ValueError as error:
        name = live["metadata"]["name"]
        raise CommandError(f"error: {name}: its annotation {LAST_APPLIED} is no JSON: {error}") from None
    return last if isinstance(last, dict) else {}
