"""Opens the store that a URL names, as ``--store`` takes it."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from clusterip.storage.store import Store, StoreError


async def open_store(url: str) -> Store:
    """Open ``sqlite:///absolute/path``.

    Raises:
        StoreError: the URL names no kind of store that exists, or the store cannot be opened.
    """
    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        raise StoreError(f"no kind of store is called {parts.scheme!r} (in {url!r}); use sqlite:///PATH")
    if parts.netloc or not parts.path.strip("/"):
        raise StoreError(f"{url!r} has no absolute path; write it with three slashes: sqlite:///var/lib/NAME")
    from clusterip.storage.sqlite import SQLiteStore  # only what is used is loaded

    return await SQLiteStore.open(unquote(parts.path))
