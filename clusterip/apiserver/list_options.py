"""The options of lists and watches, judged as ``k8s.io/apimachinery``'s internalversion validation does."""

from __future__ import annotations

from clusterip.apiserver import status
from clusterip.apiserver.router import Query
from clusterip.objects.errors import ErrorList, forbidden, not_supported

EXACT = "Exact"
NOT_OLDER_THAN = "NotOlderThan"

_MATCH = "resourceVersionMatch"
_WITH_CONTINUE = "resourceVersionMatch is forbidden when continue is provided"


def check_list_options(query: Query) -> None:
    """Raises StatusError: 400 for what is no number, 422 for options that do not go together in a list."""
    _check_numbers(query)
    match = query.get(_MATCH, "")
    problems: ErrorList = []
    if match:
        version = query.get("resourceVersion", "")
        if not version:
            why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            problems.append(forbidden(_MATCH, why))
        if query.get("continue"):
            problems.append(forbidden(_MATCH, _WITH_CONTINUE))
        if match not in (EXACT, NOT_OLDER_THAN):
            problems.append(not_supported(_MATCH, match, (EXACT, NOT_OLDER_THAN, "")))
        if match == EXACT and version == "0":
            why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            problems.append(forbidden(_MATCH, why))
    if "sendInitialEvents" in query:
        problems.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    _refuse(problems)


def check_watch_options(query: Query) -> None:
    """As ``check_list_options``, for a watch."""
    _check_numbers(query)
    match = query.get(_MATCH, "")
    problems: ErrorList = []
    if "sendInitialEvents" in query and match != NOT_OLDER_THAN:
        why = f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER_THAN}"
        problems.append(forbidden(_MATCH, why))
    if match:
        if "sendInitialEvents" not in query:
            why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            problems.append(forbidden(_MATCH, why))
        if match != NOT_OLDER_THAN:
            problems.append(not_supported(_MATCH, match, (NOT_OLDER_THAN,)))
    if query.get("continue"):
        problems.append(forbidden(_MATCH, _WITH_CONTINUE))
    _refuse(problems)


def integer(text: str) -> int:
    """A number in a query. Raises StatusError (400) in the words of Go's ``strconv``."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def _check_numbers(query: Query) -> None:
    for name in ("limit", "timeoutSeconds"):
        if name in query:
            integer(query[name])


def _refuse(problems: ErrorList) -> None:
    if problems:
        raise status.invalid_options("ListOptions", problems)
