"""Fetching objects as tables or as they are, and printing them as ``kubectl get`` does."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from clusterip.cli import tables
from clusterip.cli.connection import CommandError, Session
from clusterip.cli.documents import as_yaml
from clusterip.cli.resources import Target, shown_name
from clusterip.client.errors import ApiError
from clusterip.client.watching import LineSplitter
from clusterip.objects import codec
from clusterip.objects.base import Struct
from clusterip.objects.meta import ListMeta, ObjectMeta
from clusterip.objects.registry import Resource

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class Partial(Struct):
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)


class Row(Struct):
    cells: list[Any] = []
    object: Partial | None = None


class ColumnDefinition(Struct):
    name: str = ""
    priority: int = 0


class Table(Struct):
    """What the server makes of a list for people (``meta.k8s.io/v1`` Table)."""

    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    columnDefinitions: list[ColumnDefinition] = []
    rows: list[Row] = []


class _Event(Struct):
    type: str = ""
    object: msgspec.Raw = msgspec.Raw(b"")


class Getter:
    """One ``get``: where it asks and how it prints."""

    def __init__(
        self,
        session: Session,
        *,
        output: str,
        all_namespaces: bool,
        selection: dict[str, str],
        show_labels: bool,
        headers: bool,
        ignore_not_found: bool,
    ) -> None:
        self._session = session
        self._output = output
        self._all = all_namespaces
        self._query: dict[str, str | list[str]] = {key: text for key, text in selection.items() if text}
        self._show_labels = show_labels
        self._headers = headers
        self._ignore_not_found = ignore_not_found
        self._widths: list[int] = []

    async def run(self, targets: list[Target], *, watch: bool) -> None:
        if self._all and any(target.names for target in targets):
            raise CommandError("error: a resource cannot be retrieved by name across all namespaces")
        if watch and (len(targets) > 1 or len(targets[0].names) > 1):
            raise CommandError("error: you may only specify a single resource type to watch")
        if self._output in ("yaml", "json", "name"):
            await self._print_objects(targets)
        else:
            version = await self._print_tables(targets)
            if watch:
                await self._watch(targets[0], version)

    async def _print_tables(self, targets: list[Target]) -> str:
        """Print a table for each kind; the resource version of the last."""
        several = len({target.resource for target in targets}) > 1
        printed = False
        version = ""
        for target in _joined(targets):
            table = await self._table(target)
            version = table.metadata.resourceVersion
            if not table.rows:
                continue
            if printed:
                click.echo()
            rows = self._rows(table, target.resource, several)
            self._widths = tables.widths(rows)
            for row in rows:
                click.echo(tables.line(row, self._widths))
            printed = True
        if not printed and not self._ignore_not_found:
            is_namespaced = any(target.resource.namespaced for target in targets)
            place = f" in {self._session.namespace} namespace" if is_namespaced and not self._all else ""
            click.echo(f"No resources found{place}.", err=True)
        return version

    async def _table(self, target: Target) -> Table:
        if not target.names:
            return codec.decode(await self._request(target.resource, "", _TABLE), Table)
        whole = Table()
        for name in target.names:
            try:
                one = codec.decode(await self._request(target.resource, name, _TABLE), Table)
            except ApiError as error:
                if error.is_not_found and self._ignore_not_found:
                    continue
                raise
            whole.metadata, whole.columnDefinitions = one.metadata, one.columnDefinitions
            whole.rows += one.rows
        return whole

    def _rows(self, table: Table, resource: Resource[Any], prefixed: bool) -> list[list[str]]:
        chosen = [
            i for i, c in enumerate(table.columnDefinitions) if c.priority == 0 or self._output == "wide"
        ]
        rows = [self._row(row, chosen, resource, prefixed) for row in table.rows]
        if self._headers:
            header = [table.columnDefinitions[i].name.upper() for i in chosen]
            if self._all and resource.namespaced:
                header.insert(0, "NAMESPACE")
            if self._show_labels:
                header.append("LABELS")
            rows.insert(0, header)
        return rows

    def _row(self, row: Row, chosen: list[int], resource: Resource[Any], prefixed: bool) -> list[str]:
        metadata = row.object.metadata if row.object else ObjectMeta()
        cells = [_cell(row.cells[i]) for i in chosen]
        if prefixed:
            cells[0] = shown_name(resource, cells[0])
        if self._all and resource.namespaced:
            cells.insert(0, metadata.namespace)
        if self._show_labels:
            pairs = ",".join(f"{key}={value}" for key, value in sorted(metadata.labels.items()))
            cells.append(pairs or "<none>")
        return cells

    async def _print_objects(self, targets: list[Target]) -> None:
        found: list[tuple[Resource[Any], dict[str, Any]]] = []
        for target in targets:
            resource = target.resource
            if target.names:
                for name in target.names:
                    try:
                        found.append((resource, json.loads(await self._request(resource, name))))
                    except ApiError as error:
                        if not (error.is_not_found and self._ignore_not_found):
                            raise
                continue
            for item in json.loads(await self._request(resource, "")).get("items") or []:
                found.append((resource, {"apiVersion": resource.api_version, "kind": resource.kind, **item}))
        if self._output == "name":
            for resource, item in found:
                click.echo(shown_name(resource, item["metadata"]["name"]))
            return
        objects = [item for _resource, item in found]
        for item in objects:
            item.get("metadata", {}).pop("managedFields", None)
        single = len(objects) == 1 and bool(targets[0].names)
        if not objects and self._ignore_not_found:
            return
        document = objects[0] if single else _list(objects)
        if self._output == "json":
            click.echo(json.dumps(document, indent=4, ensure_ascii=False, sort_keys=True))
        else:
            click.echo(as_yaml(document), nl=False)

    async def _watch(self, target: Target, version: str) -> None:
        query = {**self._query, "watch": "true"}
        if target.names:
            query["fieldSelector"] = f"metadata.name={target.names[0]}"
        if version:
            query["resourceVersion"] = version
        path = target.resource.path(self._namespace(target.resource))
        async with self._session.client.stream(path, query=query, accept=_TABLE) as content:
            lines = LineSplitter()
            while chunk := await content.readany():
                for line in lines.feed(chunk):
                    self._print_event(codec.decode(line, _Event), target.resource)

    def _print_event(self, event: _Event, resource: Resource[Any]) -> None:
        if event.type == "ERROR":
            from clusterip.objects.meta import Status

            raise ApiError(codec.decode(event.object, Status))
        if event.type not in ("ADDED", "MODIFIED", "DELETED"):
            return
        table = codec.decode(event.object, Table)
        rows = self._rows(table, resource, False)
        if not self._widths:  # nothing was there before: the header comes with the first row
            self._widths = tables.widths(rows)
        elif self._headers and len(rows) > len(table.rows):
            rows = rows[1:]
        for row in rows:
            click.echo(tables.line(row, self._widths))

    async def _request(self, resource: Resource[Any], name: str, accept: str = "application/json") -> bytes:
        path = resource.path(self._namespace(resource), name)
        query = None if name else self._query
        return await self._session.client.request("GET", path, query=query, accept=accept)

    def _namespace(self, resource: Resource[Any]) -> str:
        return self._session.namespace if resource.namespaced and not self._all else ""


def _joined(targets: list[Target]) -> list[Target]:
    """Neighbours of the same kind as one, so that ``pod/a pod/b`` is one table."""
    joined: list[Target] = []
    for target in targets:
        if joined and joined[-1].resource is target.resource and target.names and joined[-1].names:
            joined[-1] = Target(target.resource, joined[-1].names + target.names)
        else:
            joined.append(target)
    return joined


def _cell(value: Any) -> str:
    if value is None:
        return "<none>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\n", "\\n")


def _list(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": objects, "metadata": {"resourceVersion": ""}}
