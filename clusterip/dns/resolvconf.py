"""Which upstreams to use: addresses, and files like /etc/resolv.conf."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from clusterip.dns import names
from clusterip.dns.hostlookup import addresses_of
from clusterip.dns.upstream import Manner, Upstream
from clusterip.process import Fatal, log
from clusterip.process.sockets import parse_address

Address = tuple[str, int]

_PORT = 53
_TLS_PORT = 853
_TLS = "tls://"
_TRUST_SECONDS = 5.0
"""How long what a file said is taken for granted."""
_STUB = "127.0.0.53"
_BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")
"""What systemd-resolved's stub asks; the stub itself answers only in the machine's own namespace."""
_log = log.get("dns")


class Upstreams:
    """The upstreams that options and files name. Files are read again as they change, with each use."""

    def __init__(
        self,
        forward: Iterable[str],
        own: Iterable[str],
        manner: Manner | None = None,
        resolvers: Sequence[str] = (),
    ) -> None:
        """``forward``: files (with a ``/``) with ``nameserver`` lines, or ``ADDRESS`` or ``ADDRESS:PORT``.

        ``tls://ADDRESS[:PORT][%NAME]`` is asked over TLS; its certificate is for ``NAME`` or the address.
        ``own`` are our own addresses, ``HOST:PORT``: those are never used. Instead of an address there may
        be a host's name, looked up now: by the name servers at ``resolvers`` or else as the system does it.

        Raises:
            Fatal: an element of ``forward`` cannot be used.
            ValueError: one of ``own`` is no address.
        """
        self._own = [parse_address(address) for address in own]
        self._manner = manner or Manner()
        self._secure: dict[Address, Manner] = {}
        self._resolvers = resolvers
        self._forward: list[Path | Address] = []
        for element in forward:
            if "/" in element and not element.startswith(_TLS):
                self._forward.append(Path(element))
            else:
                self._forward += self._outright(element)
        self._current: dict[Address, Upstream] = {}
        self._read_at = 0.0
        self._read()

    def __call__(self) -> Sequence[Upstream]:
        """The upstreams as of now, in order."""
        if time.monotonic() - self._read_at > _TRUST_SECONDS:
            self._read()
        return list(self._current.values())

    def _outright(self, element: str) -> list[Address]:
        secure = element.startswith(_TLS)
        address, _, server_name = element.removeprefix(_TLS).partition("%") if secure else (element, "", "")
        given, port = _address(address, _TLS_PORT if secure else _PORT)
        found: list[Address] = []
        for host in [given] if _is_ip(given) else addresses_of(given, self._resolvers):
            if secure:
                context = self._manner.tls or ssl.create_default_context()
                name = server_name or self._manner.server_name or ("" if _is_ip(given) else given)
                self._secure[host, port] = replace(self._manner, tls=context, server_name=name)
            if _is_own(host, port, self._own):
                raise Fatal(f"--forward {element} is this server itself: every question would go in circles")
            found.append((host, port))
        return found

    def _read(self) -> None:
        self._read_at = time.monotonic()
        wanted: dict[Address, None] = {}
        for element in self._forward:
            if isinstance(element, Path):
                found = [(host, _PORT) for host in _nameservers(element)]
                wanted |= dict.fromkeys(each for each in found if not _is_own(*each, self._own))
            else:
                wanted[element] = None
        if list(wanted) == list(self._current) or (self._current and not wanted):
            return  # the same, or a file that is just being written
        plain = replace(self._manner, tls=None)
        old = self._current
        self._current = {
            each: old.get(each) or Upstream(*each, self._secure.get(each, plain)) for each in wanted
        }
        for each in old.keys() - wanted.keys():
            old[each].close()
        _log.info("upstreams", addresses=",".join(map(str, self._current.values())))


def _nameservers(file: Path) -> list[str]:
    try:
        text = file.read_text()
    except OSError as error:
        _log.debug("no name servers read", file=file, why=error.strerror)
        return []
    lines = (line.split() for line in text.splitlines())
    found = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver" and _is_ip(words[1])]
    if found == [_STUB] and file != _BEHIND_STUB and _BEHIND_STUB.exists():
        return _nameservers(_BEHIND_STUB)
    return found


def _address(text: str, port: int) -> Address:
    if _is_ip(text):
        return text, port
    try:
        host, port = parse_address(text) if ":" in text else (text, port)
    except ValueError:
        host = ""
    if not _is_ip(host) and not _is_host(host):
        raise Fatal(f'--forward {text}: not an IP address, ADDRESS:PORT or a file such as "/etc/resolv.conf"')
    return host, port


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_host(text: str) -> bool:
    """Whether it may be a host's name; digits and dots alone are an address with a mistake in it."""
    try:
        names.to_wire(text)
    except names.BadName:
        return False
    return bool(text) and not text.replace(".", "").isdecimal()


def _is_own(host: str, port: int, ours: list[Address]) -> bool:
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
