"""Lists: consistent, at a certain version, or page by page from one snapshot."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from clusterip.apiserver import status
from clusterip.apiserver.cache import PREFIX, WatchCache
from clusterip.apiserver.entry import Entry
from clusterip.apiserver.go_json import syntax_error
from clusterip.apiserver.list_options import check_list_options, integer
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


_VERSION = "meta.k8s.io/v1"


class Listing(msgspec.Struct):
    """A list or a page of one."""

    entries: Sequence[Entry]
    revision: int
    continue_: str = ""
    remaining: int = 0


class _Token(msgspec.Struct):
    """Where a list goes on: the snapshot (-1: whatever is newest) and the last key before."""

    v: str = ""
    rv: int = 0
    start: str = ""


async def list_entries(
    cache: WatchCache, resource: Resource[Any], selection: Selection, query: Query
) -> Listing:
    """The objects that a list request asks for.

    Raises:
        StatusError: 400 for parameters that make no sense, 410 if the snapshot is no longer kept,
            504 if the version asked for does not come.
    """
    check_list_options(query)
    token = query.get("continue")
    wanted = query.get("resourceVersion", "")
    match = query.get("resourceVersionMatch", "")
    limit = max(0, integer(query.get("limit", "0")))
    if wanted == "0" and not match:
        limit = 0  # any state will do, so that of memory, which is not cut into pages
    if token:
        if wanted and wanted != "0":
            raise status.bad_request("specifying resource version is not allowed when using continue")
        return await _continue(cache, resource, selection, token, limit)
    try:
        version = parse_version(wanted)
    except status.StatusError as error:
        raise status.bad_request(f"invalid resource version: {error.status.message}") from None
    if match == "Exact" or (version > 0 and limit and not match):
        return await _at(cache, resource, selection, version, "", limit)
    if wanted == "":
        revision = await cache.current()
    else:
        await cache.reach(version)
        revision = cache.revision
    entries = _selected(cache.of(resource).entries(selection.namespace), selection)
    whole = not selection.namespace
    return _page(entries, revision, limit, exact=not selection.selects, whole=whole)


def parse_version(text: str) -> int:
    """A ``resourceVersion`` parameter; 0 if there is none.

    Raises:
        StatusError: it is not a number; 500, since upstream has no better code for it either.
    """
    if not text:
        return 0
    why = ""
    if not (text.isascii() and text.isdigit()):
        why = "invalid syntax"
    elif int(text) >= 2**64:
        why = "value out of range"
    if why:
        what = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": {why}'
        raise status.failure(500, "", what)
    return int(text)


def _selected(entries: Sequence[Entry], selection: Selection) -> Sequence[Entry]:
    if not selection.selects:
        return entries
    return [entry for entry in entries if selection.matches_content(entry)]


def _page(entries: Sequence[Entry], revision: int, limit: int, *, exact: bool, whole: bool) -> Listing:
    if not limit or len(entries) <= limit:
        return Listing(entries, revision)
    page = entries[:limit]
    # How many are left is not told of a selection, because upstream does not count them.
    remaining = len(entries) - limit if exact else 0
    return Listing(page, revision, _token(page[-1], revision, whole=whole), remaining)


def _token(last: Entry, revision: int, *, whole: bool) -> str:
    start = f"{last.namespace}/{last.name}" if whole and last.resource.namespaced else last.name
    token = encode(_Token(_VERSION, revision, start + "\x00"))
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def _read_token(text: str) -> _Token:
    """Raises StatusError (400) for what this server never gave out."""
    start = "invalid continue token: continue key is not valid: "
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise status.bad_request(f"{start}{error}") from None
    try:
        token = msgspec.json.decode(raw, type=_Token)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise status.bad_request(start + (syntax_error(raw) or str(error))) from None
    if token.v != _VERSION:
        raise status.bad_request(f"{start}server does not recognize this encoded version {token.v}")
    if not token.rv:
        why = f"incorrect encoded start resourceVersion (version {_VERSION})"
        raise status.bad_request(start + why)
    if not token.start:
        raise status.bad_request(f"{start}encoded start key empty (version {_VERSION})")
    if any(part in (".", "..") for part in token.start.split("/")):
        raise status.bad_request(start + token.start)
    return token


async def _continue(
    cache: WatchCache, resource: Resource[Any], selection: Selection, text: str, limit: int
) -> Listing:
    token = _read_token(text)
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
    start = prefix + after.rstrip("\x00") if after else ""
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
    except Compacted:
        raise status.expired("The resourceVersion for the provided list is too old.") from None
    except FutureRevision as future:
        error = status.too_large_version(revision, future.revision)
        error.headers.clear()  # whoever asks for exactly that version is not told to try again
        if error.status.details is not None:
            error.status.details.retryAfterSeconds = 0
        raise error from None
    listing = _page(found, revision, limit, exact=False, whole=not selection.namespace)
    if listing.continue_ and not selection.selects:
        listing.remaining = page.remaining + len(found) - len(listing.entries)
    return listing
