"""The options of a write: ``dryRun``, ``fieldManager``, ``fieldValidation`` and, of a patch, ``force``.

As ``k8s.io/apimachinery/pkg/apis/meta/v1/validation``.
"""

from __future__ import annotations

from clusterip.apiserver import status
from clusterip.apiserver.router import Query, RequestInfo
from clusterip.objects.errors import ErrorList, forbidden, invalid, not_supported, required, too_long

MANAGER_LENGTH = 128

_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}


def check_write_options(info: RequestInfo, *, applies: bool = False) -> None:
    """Raises StatusError (422) for options that make no sense; ``applies`` if it is a server-side apply."""
    query = info.query
    errors: ErrorList = []
    if info.verb == "patch":
        errors += _patch_options(query, applies=applies)
    errors += _field_manager(query.get("fieldManager", ""))
    errors += dry_run_errors([query["dryRun"]] if query.get("dryRun") else [])
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        errors.append(not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    if errors:
        raise status.invalid_options(_KINDS.get(info.verb, "UpdateOptions"), errors)


def dry_run_errors(values: list[str]) -> ErrorList:
    return [not_supported("dryRun", values, ("All",))] if any(value != "All" for value in values) else []


def field_validation(query: Query) -> str:
    """Strict, Warn or Ignore."""
    return query.get("fieldValidation") or "Warn"


def _patch_options(query: Query, *, applies: bool) -> ErrorList:
    if not applies:
        if "force" in query:
            return [forbidden("force", "may not be specified for non-apply patch")]
    elif not query.get("fieldManager"):
        return [required("fieldManager", "is required for apply patch")]
    return []


def _field_manager(manager: str) -> ErrorList:
    errors: ErrorList = []
    if len(manager.encode("utf-8", "replace")) > MANAGER_LENGTH:
        errors.append(too_long("fieldManager", MANAGER_LENGTH))
    at = 0
    for letter in manager:
        if not letter.isprintable():
            why = f"invalid character U+{ord(letter):04X} (at position {at})"
            errors.append(invalid("fieldManager", manager, why))
        at += len(letter.encode("utf-8", "replace"))
    return errors
