"""Lists: consistent, at a certain version, or page by page from one snapshot."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec

from clusterip.apiserver import status
from clusterip.apiserver.cache import PREFIX, WatchCache
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.router import Query
from clusterip.apiserver.selection import Selection
from clusterip.objects.codec import encode
from clusterip.objects.registry import Resource
from clusterip.storage.store import Compacted, FutureRevision

_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter, or use the continue token in this response to retrieve the "
    "remainder of the results. Continuing with the provided token results in an inconsistent list - "
    "objects that were created, modified, or deleted between the time the first chunk was returned and "
    "now may show up in the list."
)


class Listing(msgspec.Struct):
    """A list or a page of one."""

    entries: Sequence[Entry]
    revision: int
    continue_: str = ""
    remaining: int = 0


class _Token(msgspec.Struct):
    """Where a list goes on: the snapshot (-1: whatever is newest) and the last key before."""

    v: str
    rv: int
    start: str


async def list_entries(
    cache: WatchCache, resource: Resource[Any], selection: Selection, query: Query
) -> Listing:
    """The objects that a list request asks for.

    Raises:
        StatusError: 400 for parameters that make no sense, 410 if the snapshot is no longer kept,
            504 if the version asked for does not come.
    """
    limit = _integer(query, "limit")
    token = query.get("continue")
    wanted = query.get("resourceVersion", "")
    match = query.get("resourceVersionMatch", "")
    _check_match(match, wanted, token)
    if token:
        if wanted and wanted != "0":
            raise status.bad_request("specifying resource version is not allowed when using continue")
        return await _continue(cache, resource, selection, token, limit)
    version = parse_version(wanted)
    if match == "Exact" or (version > 0 and limit and not match):
        return await _at(cache, resource, selection, version, "", limit)
    if wanted == "":
        revision = await cache.current()
    else:
        await cache.reach(version)
        revision = cache.revision
    entries = _selected(cache.of(resource).entries(selection.namespace), selection)
    return _page(entries, revision, limit, exact=not selection.selects)


def parse_version(text: str) -> int:
    """A ``resourceVersion`` parameter; 0 if there is none.

    Raises:
        StatusError: 400, it is not a number.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise status.bad_request(
            f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def _integer(query: Query, name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return max(0, int(text))
    except ValueError:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _check_match(match: str, version: str, token: str | None) -> None:
    if not match:
        return
    start = 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: '
    if match not in ("Exact", "NotOlderThan"):
        why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
    elif token:
        why = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
    elif not version:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match == "Exact" and version == "0":
        why = 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
    else:
        return
    raise status.failure(422, "Invalid", start + why)


def _selected(entries: Sequence[Entry], selection: Selection) -> Sequence[Entry]:
    if not selection.selects:
        return entries
    return [entry for entry in entries if selection.matches_content(entry)]


def _page(entries: Sequence[Entry], revision: int, limit: int, *, exact: bool) -> Listing:
    if not limit or len(entries) <= limit:
        return Listing(entries, revision)
    page = entries[:limit]
    # How many are left is not told of a selection, because upstream does not count them.
    remaining = len(entries) - limit if exact else 0
    return Listing(page, revision, _token(page[-1], revision), remaining)


def _token(last: Entry, revision: int) -> str:
    start = f"{last.namespace}/{last.name}" if last.resource.namespaced else last.name
    token = encode(_Token("meta.k8s.io/v1", revision, start))
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


async def _continue(
    cache: WatchCache, resource: Resource[Any], selection: Selection, text: str, limit: int
) -> Listing:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        token = msgspec.json.decode(raw, type=_Token)
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        raise status.bad_request("continue key is not valid: invalid continue token") from None
    revision = token.rv
    if revision < 0:
        revision = await cache.current()
    try:
        return await _at(cache, resource, selection, revision, token.start, limit)
    except status.StatusError as error:
        if error.status.code == 410:
            fresh = encode(_Token(token.v, -1, token.start))
            error.status.message = _EXPIRED
            error.status.metadata.continue_ = base64.urlsafe_b64encode(fresh).rstrip(b"=").decode()
        raise


async def _at(
    cache: WatchCache,
    resource: Resource[Any],
    selection: Selection,
    revision: int,
    after: str,
    limit: int,
) -> Listing:
    """A list at ``revision``, which the cache may have left behind, from the store itself."""
    base = f"{PREFIX}{resource.stored.group_resource}/"
    prefix = f"{base}{selection.namespace}/" if selection.namespace else base
    start = f"{base}{after}" if after else ""
    found: list[Entry] = []
    try:
        while True:
            ask = limit - len(found) + 1 if limit else 0
            page = await cache.store.list(prefix, revision=revision, start_after=start, limit=ask)
            for item in page.items:
                namespace, _, name = item.key[len(base) :].rpartition("/")
                entry = Entry(resource, namespace, name, item.mod_revision, item.value)
                if selection.matches(entry):
                    found.append(entry)
            if not page.more or (limit and len(found) > limit):
                break
            start = page.items[-1].key
    except Compacted as compacted:
        raise status.gone_version(revision, compacted.revision) from None
    except FutureRevision as future:
        raise status.too_large_version(revision, future.revision) from None
    listing = _page(found, revision, limit, exact=False)
    if listing.continue_ and not selection.selects:
        listing.remaining = page.remaining + len(found) - len(listing.entries)
    return listing
