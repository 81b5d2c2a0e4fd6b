"""HTTP proxies from the environment, with the rules of Go's ``http.ProxyFromEnvironment``."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit


def proxy_for(server: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The proxy to reach a server's URL by; None: go there directly.

    ``HTTPS_PROXY`` or ``HTTP_PROXY``, in capitals or not; never for this machine itself, nor for what
    ``NO_PROXY`` lists: addresses, ranges of them, names (also those that end with them), ports, ``*``.
    """
    url = urlsplit(server)
    name = f"{url.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name) or ""
    host = (url.hostname or "").lower()
    if not proxy or _is_local(host):
        return None
    port = url.port or (443 if url.scheme == "https" else 80)
    exceptions = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    if any(_excepts(item.strip().lower(), host, port) for item in exceptions.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _excepts(item: str, host: str, port: int) -> bool:
    if item in ("", "*"):
        return item == "*"
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(item, strict=False)
    except ValueError:
        pass  # the item is no range, or the host no address
    name, colon, wanted = item.rpartition(":")
    if colon and wanted.isdecimal() and not name.endswith("]") and ":" not in name:
        if int(wanted) != port:
            return False
        item = name
    item = item.removeprefix("*")
    return host == item.removeprefix(".") or host.endswith(item if item.startswith(".") else f".{item}")
