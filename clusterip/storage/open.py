"""Opens the store that a URL names, as ``--store`` takes it."""

from __future__ import annotations

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
    scheme = url.partition("://")[0]
    # Only what is used is loaded.
    if scheme in ("etcd", "etcds"):
        from clusterip.storage.etcd.store import EtcdStore

        return await EtcdStore.open(url, tls, user)
    if scheme != "sqlite":
        raise StoreError(
            f"no kind of store is called {scheme!r} (in {url!r}); "
            "use sqlite:///PATH or etcd://HOST:PORT,HOST:PORT"
        )
    parts = urlsplit(url)
    if parts.netloc or not parts.path.strip("/"):
        raise StoreError(f"{url!r} has no absolute path; write it with three slashes: sqlite:///var/lib/NAME")
    from clusterip.storage.sqlite import SQLiteStore

    return await SQLiteStore.open(unquote(parts.path))
