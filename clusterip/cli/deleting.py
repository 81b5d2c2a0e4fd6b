"""Deleting objects as ``kubectl delete`` does, and waiting until they are gone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from clusterip.cli.connection import CommandError, Session, describe
from clusterip.cli.documents import read
from clusterip.cli.resources import shown_name, targets
from clusterip.cli.suggesting import similar
from clusterip.cli.waiting import saying
from clusterip.client.errors import ApiError
from clusterip.objects import codec
from clusterip.objects.meta import DeleteOptions
from clusterip.objects.registry import Resource

Wanted = tuple[Resource[Any], str, str]
"""A kind, a namespace and a name."""


class Deletion:
    """One ``delete``."""

    def __init__(
        self,
        session: Session,
        *,
        grace_period_seconds: int | None,
        propagation_policy: str,
        ignore_not_found: bool,
        wait: bool,
    ) -> None:
        self._session = session
        self._options = DeleteOptions(
            gracePeriodSeconds=grace_period_seconds, propagationPolicy=propagation_policy
        )
        self._ignore_not_found = ignore_not_found
        self._wait = wait

    async def run(
        self, what: Sequence[str], files: Sequence[str], *, recursive: bool, selector: str, every: bool
    ) -> None:
        """Delete what arguments, files or a selector name.

        Raises:
            CommandError: some could not be deleted; the others were.
        """
        errors: list[str] = []
        deleted: list[tuple[Wanted, str]] = []
        for wanted in await self._find(what, files, recursive, selector, every):
            try:
                deleted.append((wanted, await self._delete(*wanted)))
            except ApiError as error:
                if not (error.is_not_found and self._ignore_not_found):
                    errors.append(describe(error) + await similar(self._session, error))
        if not deleted and not errors and not self._ignore_not_found:
            click.echo("No resources found", err=True)
        if self._wait:
            for wanted, uid in deleted:
                await self._wait_until_gone(*wanted, uid)
        if errors:
            raise CommandError("\n".join(errors))

    async def _find(
        self, what: Sequence[str], files: Sequence[str], recursive: bool, selector: str, every: bool
    ) -> list[Wanted]:
        if files:
            if what:
                raise CommandError("error: cannot set --filename together with a resource type or name")
            documents = read(files, recursive=recursive)
            return [(d.resource, self._namespace(d.resource, d.namespace), d.name) for d in documents]
        wanted: list[Wanted] = []
        for target in targets(what):
            namespace = self._namespace(target.resource, "")
            if target.names:
                wanted += [(target.resource, namespace, name) for name in target.names]
            elif selector or every:
                query: dict[str, str | list[str]] = {"labelSelector": selector} if selector else {}
                path = target.resource.path(namespace)
                listed = json.loads(await self._session.client.request("GET", path, query=query))
                wanted += [(target.resource, namespace, item["metadata"]["name"]) for item in listed["items"]]
            else:
                raise CommandError("error: resource(s) were provided, but no name was specified")
        return wanted

    def _namespace(self, resource: Resource[Any], own: str) -> str:
        return (own or self._session.namespace) if resource.namespaced else ""

    async def _delete(self, resource: Resource[Any], namespace: str, name: str) -> str:
        """Ask for the deletion; the UID of what is being deleted."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **codec.to_tree(self._options)}
        path = resource.path(namespace, name)
        answer = json.loads(await self._session.client.request("DELETE", path, body=codec.encode(body)))
        kind = shown_name(resource, "").rstrip("/")
        place = f" from {namespace} namespace" if namespace else ""
        verb = "force deleted" if self._options.gracePeriodSeconds == 0 else "deleted"
        click.echo(f'{kind} "{name}" {verb}{place}')
        if answer.get("kind") == "Status":
            return str((answer.get("details") or {}).get("uid", ""))
        return str(answer["metadata"].get("uid", ""))

    async def _wait_until_gone(self, resource: Resource[Any], namespace: str, name: str, uid: str) -> None:
        with saying(f"waiting until {shown_name(resource, name)} is gone"):
            await self._until_gone(resource, namespace, name, uid)

    async def _until_gone(self, resource: Resource[Any], namespace: str, name: str, uid: str) -> None:
        client = self._session.client
        while True:
            path, query = resource.path(namespace), {"fieldSelector": f"metadata.name={name}"}
            listed = json.loads(await client.request("GET", path, query=query))
            if all(uid and item["metadata"]["uid"] != uid for item in listed["items"]):
                return
            version = listed["metadata"]["resourceVersion"]
            async for event in client.watch(
                resource.type, namespace, resource_version=version, field_selector=query["fieldSelector"]
            ):
                if event.type == "DELETED":
                    return
