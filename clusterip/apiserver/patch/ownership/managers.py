"""The owners of an object's fields, as ``metadata.managedFields`` keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from clusterip.apiserver.patch.ownership.paths import FieldSet, Path, from_fields_v1, to_fields_v1

MAX_UPDATERS = 10
"""How many managers that do not apply are kept apart; older ones are joined (DefaultMaxUpdateManagers)."""

ANCIENT = "ancient-changes"
"""The manager they are joined under."""


class Manager(NamedTuple):
    """Who writes, and how. Someone who applies is the same in every version of the API."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""


@dataclass(frozen=True)
class Owned:
    """What a manager owns, in which version of the API, since when (RFC 3339)."""

    fields: FieldSet
    api_version: str
    time: str | None = None


class Managers:
    """Who owns what. Changed in place."""

    def __init__(self, owned: dict[Manager, Owned] | None = None) -> None:
        self.owned = owned if owned is not None else {}

    @classmethod
    def load(cls, entries: Iterable[dict[str, Any]]) -> Managers:
        """From ``managedFields`` as plain dicts. Entries that make no sense leave nobody owning anything."""
        owned = {}
        for entry in entries:
            operation, version = entry.get("operation", ""), entry.get("apiVersion", "")
            sound = operation in ("Apply", "Update") and version and entry.get("fieldsType") == "FieldsV1"
            if not sound:
                return cls()
            try:
                fields = from_fields_v1(entry.get("fieldsV1") or {})
            except ValueError:
                return cls()
            manager = manager_of(entry.get("manager", ""), operation, version, entry.get("subresource", ""))
            owned[manager] = Owned(fields, version, entry.get("time"))
        return cls(owned)

    def dump(self) -> list[dict[str, Any]]:
        """As ``managedFields`` has them: those who apply first, then by time."""
        entries = []
        for manager, owned in sorted(self.owned.items(), key=_order):
            entry = {
                "manager": manager.name,
                "operation": manager.operation,
                "apiVersion": owned.api_version,
                "time": owned.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": to_fields_v1(owned.fields),
                "subresource": manager.subresource,
            }
            entries.append({key: value for key, value in entry.items() if value or key == "fieldsV1"})
        return entries

    def all_fields(self) -> set[Path]:
        return {path for owned in self.owned.values() for path in owned.fields}

    def take_away(self, paths: Set[Path], keep: Manager | None = None) -> None:
        """Let nobody but ``keep`` own ``paths``. Who owns nothing any more is forgotten."""
        for manager, owned in list(self.owned.items()):
            if manager == keep or not owned.fields & paths:
                continue
            self.set(manager, owned.fields - paths, owned.api_version, owned.time)

    def set(self, manager: Manager, fields: Set[Path], api_version: str, time: str | None) -> None:
        if fields:
            self.owned[manager] = Owned(frozenset(fields), api_version, time)
        else:
            self.owned.pop(manager, None)

    def join_oldest(self) -> None:
        """Keep at most ``MAX_UPDATERS`` that do not apply."""
        updaters = sorted((item for item in self.owned.items() if item[0].operation == "Update"), key=_order)
        excess = len(updaters) - MAX_UPDATERS
        if excess <= 0:
            return
        joined: dict[str, Owned] = {}
        for manager, owned in updaters[: excess + 1]:
            del self.owned[manager]
            before = joined.get(owned.api_version)
            fields = owned.fields | before.fields if before else owned.fields
            joined[owned.api_version] = Owned(fields, owned.api_version, owned.time)
        for version, owned in joined.items():
            self.owned[Manager(ANCIENT, "Update", version)] = owned


def manager_of(name: str, operation: str, api_version: str, subresource: str) -> Manager:
    return Manager(name or "unknown", operation, api_version if operation == "Update" else "", subresource)


def _order(item: tuple[Manager, Owned]) -> tuple[str, str, Manager]:
    manager, owned = item
    return manager.operation, owned.time or "", manager
