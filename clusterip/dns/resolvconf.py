"""Which upstreams to use: addresses, and files like /etc/resolv.conf."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path

from clusterip.dns.upstream import Upstream
from clusterip.process import Fatal, log
from clusterip.process.sockets import parse_address

_PORT = 53
_STUB = "127.0.0.53"
_BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")
"""What systemd-resolved's stub asks; the stub itself answers only in the machine's own namespace."""
_log = log.get("dns")


def upstreams_of(forward: Iterable[str], own: Iterable[str]) -> list[Upstream]:
    """The upstreams that ``forward`` names; never one of our ``own`` addresses (``HOST:PORT``).

    An element with a ``/`` is a file with ``nameserver`` lines, else it is ``ADDRESS`` or ``ADDRESS:PORT``.

    Raises:
        Fatal: an element is neither, or an address named outright is our own.
    """
    ours = [parse_address(address) for address in own]
    found: dict[tuple[str, int], Upstream] = {}
    for element in forward:
        if "/" in element:
            for host in _nameservers(Path(element)):
                if _is_own(host, _PORT, ours):
                    _log.warning("name server is this server itself, not used", file=element, address=host)
                else:
                    found[host, _PORT] = Upstream(host, _PORT)
            continue
        host, port = _address(element)
        if _is_own(host, port, ours):
            raise Fatal(f"--forward {element} is this server itself: every question would go in circles")
        found[host, port] = Upstream(host, port)
    return list(found.values())


def _nameservers(file: Path) -> list[str]:
    try:
        text = file.read_text()
    except OSError as error:
        _log.warning("no name servers read", file=file, why=error.strerror)
        return []
    lines = (line.split() for line in text.splitlines())
    found = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver" and _is_ip(words[1])]
    if found == [_STUB] and file != _BEHIND_STUB and _BEHIND_STUB.exists():
        return _nameservers(_BEHIND_STUB)
    return found


def _address(text: str) -> tuple[str, int]:
    if _is_ip(text):
        return text, _PORT
    try:
        host, port = parse_address(text)
    except ValueError:
        host, port = "", 0
    if not _is_ip(host):
        raise Fatal(f'--forward {text}: not an IP address, ADDRESS:PORT or a file such as "/etc/resolv.conf"')
    return host, port


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_own(host: str, port: int, ours: list[tuple[str, int]]) -> bool:
    for own_host, own_port in ours:
        if port == own_port and (host == own_host or (own_host in ("", "0.0.0.0", "::") and _is_local(host))):
            return True
    return False


def _is_local(host: str) -> bool:
    """Whether an address is this machine's: then a socket can be bound to it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
