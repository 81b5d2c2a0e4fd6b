"""Addresses of our own: what node-local DNS answers at, in front of or in place of the cluster's DNS IP."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
from collections.abc import Iterable, Iterator

from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.process import Fatal, log
from clusterip.process.sockets import parse_address

_log = log.get("dns")


@contextlib.contextmanager
def addresses_on(interface: str, binds: Iterable[str]) -> Iterator[None]:
    """Let ``interface`` (such as ``lo``) have the addresses of ``binds``, ``HOST:PORT``, meanwhile.

    Those that it has already, such as after a crash, are taken over: they too are removed in the end.

    Raises:
        Fatal: there is no such interface, or no right to change it.
    """
    hosts = dict.fromkeys(parse_address(bind)[0] for bind in binds)
    wanted = [ipaddress.ip_interface(host) for host in hosts if host]
    with RouteSocket() as sock:
        try:
            for address in wanted:
                sock.replace_address(interface, address)
                _log.info("address added", address=address, interface=interface)
        except (NetlinkError, OSError) as error:
            raise Fatal(f"cannot add an address to {interface}: {error}") from None
        try:
            yield
        finally:
            for address in wanted:
                try:
                    sock.delete_address(interface, address)
                except NetlinkError as error:
                    if error.errno != errno.EADDRNOTAVAIL:  # somebody was faster
                        _log.warning("address not removed", address=address, why=error)
