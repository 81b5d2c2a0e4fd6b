"""Opens the store that a URL names, as ``--store`` takes it."""

from __future__ import annotations

from typing import Literal
from urllib.parse import unquote, urlsplit

from clusterip.storage.etcd.endpoints import Tls
from clusterip.storage.etcd.login import User
from clusterip.storage.store import Store, StoreError


async def open_store(url: str, tls: Tls = Tls(), user: User = User()) -> Store:  # noqa: B008 - immutable
    """Open ``sqlite:///absolute/path``, ``etcd://HOST:PORT,HOST:PORT`` or, with TLS, ``etcds://...``.

    ``tls`` and ``user`` are for etcd only.

    Raises:
        StoreError: the URL names no kind of store that exists, or the store cannot be opened.
    """
    # Only what is used is loaded.
    if kind_of(url) == "etcd":
        from clusterip.storage.snapshot.etcd import open_etcd

        return await open_etcd(url, tls, user)
    from clusterip.storage.sqlite import SQLiteStore

    return await SQLiteStore.open(sqlite_path(url))


def kind_of(url: str) -> Literal["sqlite", "etcd"]:
    """Raises StoreError if there is no such kind of store."""
    scheme = url.partition("://")[0]
    if scheme in ("etcd", "etcds"):
        return "etcd"
    if scheme == "sqlite":
        return "sqlite"
    raise StoreError(
        f"no kind of store is called {scheme!r} (in {url!r}); "
        "use sqlite:///PATH or etcd://HOST:PORT,HOST:PORT"
    )


def sqlite_path(url: str) -> str:
    """The file of a ``sqlite:`` URL. Raises StoreError if it names none."""
    parts = urlsplit(url)
    if parts.netloc or not parts.path.strip("/"):
        raise StoreError(f"{url!r} has no absolute path; write it with three slashes: sqlite:///var/lib/NAME")
    return unquote(parts.path)
