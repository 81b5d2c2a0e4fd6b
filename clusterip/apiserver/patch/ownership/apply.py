"""Applying a configuration, and keeping track of who owns what when others write."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import msgspec

from clusterip.apiserver.patch.errors import PatchError, malformed
from clusterip.apiserver.patch.ownership.created import NOBODYS_METADATA
from clusterip.apiserver.patch.ownership.managers import Manager, Managers, manager_of
from clusterip.apiserver.patch.ownership.paths import FieldSet, Path, show, with_parents
from clusterip.apiserver.patch.ownership.typed import typing_errors
from clusterip.apiserver.patch.ownership.values import Tree, compare, field_set, merge, remove
from clusterip.objects.codec import to_tree, without_nulls
from clusterip.objects.fields import fields_of
from clusterip.objects.meta import StatusCause

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST_APPLY = "before-first-apply"
_KUBECTL = "kubectl"
"""The manager of ``kubectl apply --server-side``; its other way to apply is ``kubectl-client-side-apply``."""

_NOBODYS: FieldSet = frozenset(
    [("f:apiVersion",), ("f:kind",), ("f:metadata",)]
    + [("f:metadata", f"f:{name}") for name in NOBODYS_METADATA]
)
"""What an object is and what the server sets of it have no owner."""


class ApplyConflict(PatchError):
    """Others own fields that the configuration sets otherwise.

    Attributes:
        causes: each field with its owner, for the Status' details.
    """

    def __init__(self, conflicts: list[tuple[Manager, str, Path]]) -> None:
        super().__init__(409, _conflict_message(conflicts))
        self.reason = "Conflict"
        self.causes = [
            StatusCause(
                reason="FieldManagerConflict",
                message=f"conflict with {_show(manager, version)}",
                field=show(path),
            )
            for manager, version, path in conflicts
        ]


def apply(
    live: Tree | None,
    config: Tree,
    type_: Any,
    *,
    manager: str,
    api_version: str,
    now: str,
    subresource: str = "",
    force: bool = False,
) -> Tree:
    """The result of applying ``config`` to an object (server-side apply); neither is modified.

    Args:
        live: the object as it is, or None to create it.
        config: the applied fields.
        type_: the object's type.
        manager: who applies (``fieldManager``).
        api_version: ``apiVersion`` of the request.
        now: the time, RFC 3339, that the manager's entry gets if something changes.
        subresource: the part of the object that is applied to.
        force: take fields that others own.

    Returns:
        The object as it should become, with its ``managedFields``, before defaults are filled in.

    Raises:
        ApplyConflict: others own some of the fields (409), and ``force`` was not given.
        PatchError: the configuration does not fit the type (400, 500).
    """
    config = without_nulls(config)
    _check(config, type_)
    current, managers = _split(live if live is not None else to_tree(type_()))
    if live is not None and not managers.owned:
        first = compare(to_tree(type_()), current, type_)
        before = manager_of(BEFORE_FIRST_APPLY, "Update", api_version, subresource)
        managers.set(before, first.set - _NOBODYS, api_version, now)
    ours = manager_of(manager, "Apply", api_version, subresource)
    previous = managers.owned.get(ours)

    reset = _reset(type_, subresource)
    wanted = {path for path in field_set(config, type_) - _NOBODYS if path[0] != reset}
    managers.set(ours, wanted, api_version, previous.time if previous else None)
    new = merge(current, config, type_)
    if previous is not None:
        gone = with_parents(previous.fields) - with_parents(managers.all_fields())
        new = remove(new, gone, type_)

    changes = compare(current, new, type_).outside(reset)
    if not force:
        _check_conflicts(managers, ours, changes.set, current, type_, api_version)
    managers.take_away(changes.set | changes.removed, keep=ours)
    owned = managers.owned.get(ours)
    if owned is not None and (changes.set or changes.removed):  # to come to own something is no change
        managers.set(ours, owned.fields, api_version, now)
    if manager == _KUBECTL:
        new = _with_last_applied(new, config)
    return _join(new, managers)


def track(
    live: Tree | None,
    new: Tree,
    type_: Any,
    *,
    manager: str,
    api_version: str,
    now: str,
    subresource: str = "",
) -> Tree:
    """``new`` with the ``managedFields`` that it gets when ``manager`` writes it without applying.

    Managers that ``new`` brings along are believed, as upstream does, unless it is written through a
    subresource; an empty entry resets them. An object that exists without managers stays so.
    """
    bare, given = _split(new)
    before, known = _split(live if live is not None else to_tree(type_()))
    entries = (new.get("metadata") or {}).get("managedFields")
    managers = known if subresource or not given.owned else given
    if entries == [{}]:
        managers = Managers()
    if live is not None and not managers.owned:
        return bare
    ours = manager_of(manager, "Update", api_version, subresource)
    changes = compare(before, bare, type_).outside(_reset(type_, subresource))
    managers.take_away(changes.set | changes.removed)
    taken = changes.set - _NOBODYS
    if taken:
        previous = managers.owned.get(ours)
        managers.set(ours, taken | previous.fields if previous else taken, api_version, now)
    managers.join_oldest()
    return _join(bare, managers)


def _check(config: Tree, type_: Any) -> None:
    if (config.get("metadata") or {}).get("managedFields"):
        raise malformed("metadata.managedFields must be nil")
    if errors := typing_errors(config, type_):
        shown = errors[0] if len(errors) == 1 else "errors:\n" + "\n".join(f"  {error}" for error in errors)
        name, namespace = (config["metadata"].get(key, "") for key in ("name", "namespace"))
        api_version = str(config.get("apiVersion"))
        group_version = api_version if "/" in api_version else f"/{api_version}"
        what = f"{namespace}/{name}; {group_version}, Kind={config.get('kind')}"
        raise PatchError(500, f"failed to create typed patch object ({what}): {shown}")


def _reset(type_: Any, subresource: str) -> str | None:
    """The half of the object that a write to the other half leaves alone (GetResetFields)."""
    if "status" not in fields_of(type_):
        return None
    return {"": "f:status", "status": "f:spec"}.get(subresource)


def _check_conflicts(
    managers: Managers, ours: Manager, changed: Set[Path], current: Tree, type_: Any, api_version: str
) -> None:
    conflicts = [
        (manager, owned.api_version, path)
        for manager, owned in sorted(managers.owned.items())
        if manager != ours
        for path in sorted(owned.fields & changed)
    ]
    if conflicts and ours.name == _KUBECTL:
        # Whoever has used kubectl's own apply until now meets no conflict with that.
        allowed = _last_applied(current, type_, api_version)
        conflicts = [conflict for conflict in conflicts if conflict[2] not in allowed]
    if conflicts:
        raise ApplyConflict(conflicts)


def _last_applied(current: Tree, type_: Any, api_version: str) -> FieldSet:
    """The fields that are still as ``kubectl apply`` last set them, by its annotation."""
    text = current.get("metadata", {}).get("annotations", {}).get(LAST_APPLIED)
    try:
        last = without_nulls(msgspec.json.decode(text)) if text else None
    except msgspec.DecodeError:
        return frozenset()
    if not isinstance(last, dict) or last.get("apiVersion") != api_version:
        return frozenset()
    differs = compare(last, current, type_)
    return field_set(last, type_) - differs.set - differs.removed


def _with_last_applied(new: Tree, config: Tree) -> Tree:
    """``new``, in which kubectl's own annotation, if there is one, says what was applied now.

    So one can go back to applying on the client's side (upstream's ``lastAppliedUpdater``).
    """
    annotations = new.get("metadata", {}).get("annotations") or {}
    if not annotations.get(LAST_APPLIED):
        return new
    metadata = dict(config.get("metadata") or {})
    if metadata.get("annotations"):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != LAST_APPLIED}
    else:
        metadata.pop("annotations", None)
    text = msgspec.json.encode(config | {"metadata": metadata}, order="sorted").decode() + "\n"
    for character in "<>&":  # as Go writes JSON
        text = text.replace(character, f"\\u{ord(character):04x}")
    return new | {"metadata": new["metadata"] | {"annotations": annotations | {LAST_APPLIED: text}}}


def _split(tree: Tree) -> tuple[Tree, Managers]:
    """An object without its ``managedFields``, and these."""
    metadata = dict(tree.get("metadata") or {})
    managers = Managers.load(metadata.pop("managedFields", None) or [])
    return tree | {"metadata": metadata}, managers


def _join(tree: Tree, managers: Managers) -> Tree:
    metadata = dict(tree["metadata"])
    if managers.owned:
        metadata["managedFields"] = managers.dump()
    return tree | {"metadata": metadata}


def _conflict_message(conflicts: list[tuple[Manager, str, Path]]) -> str:
    if len(conflicts) == 1:
        manager, version, path = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {_show(manager, version)}: {show(path)}"
    lines: list[str] = []
    for shown in sorted({_show(manager, version) for manager, version, _ in conflicts}):
        lines.append(f"conflicts with {shown}:")
        lines += [
            f"- {show(path)}" for manager, version, path in conflicts if _show(manager, version) == shown
        ]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)


def _show(manager: Manager, api_version: str) -> str:
    shown = f'"{manager.name}"'
    if manager.subresource:
        shown += f' with subresource "{manager.subresource}"'
    return f"{shown} using {api_version}" if manager.operation == "Update" else shown
