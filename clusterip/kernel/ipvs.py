"""IPVS: the kernel's load balancer, through generic netlink: what ``ipvsadm`` does, without the process.

A *virtual server* is an address, protocol and port with a scheduler; its *destinations* are where connections
go. See the kernel's ``include/uapi/linux/ip_vs.h``.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from enum import IntFlag
from types import TracebackType
from typing import NamedTuple

from clusterip.kernel import genetlink, netlink
from clusterip.kernel.netlink import NLM_F_ACK, NetlinkError, attribute, be16, nested, string, u16, u32

_NEW_SERVICE, _SET_SERVICE, _DEL_SERVICE, _GET_SERVICE = 1, 2, 3, 4
_NEW_DEST, _SET_DEST, _DEL_DEST, _GET_DEST = 5, 6, 7, 8
_SET_CONFIG, _GET_CONFIG = 12, 13

_CMD_SERVICE, _CMD_DEST, _CMD_TCP, _CMD_TCP_FIN, _CMD_UDP = 1, 2, 4, 5, 6
_S_FAMILY, _S_PROTOCOL, _S_ADDRESS, _S_PORT = 1, 2, 3, 4
_S_SCHEDULER, _S_FLAGS, _S_TIMEOUT, _S_NETMASK = 6, 7, 8, 9
_D_ADDRESS, _D_PORT, _D_METHOD, _D_WEIGHT, _D_UPPER, _D_LOWER = 1, 2, 3, 4, 5, 6
_D_ACTIVE, _D_INACTIVE, _D_FAMILY = 7, 8, 11

_HEADER = struct.Struct("=BBH")
_FLAGS = struct.Struct("=II")
_ADDRESS_BYTES = 16

MASQUERADE = 0
"""The forwarding method that rewrites addresses, so that destinations need to know nothing."""


class Flags(IntFlag):
    """``IP_VS_SVC_F_*``."""

    PERSISTENT = 0x1
    HASHED = 0x2
    """Set by the kernel: the service is in its tables."""
    SCHED1 = 0x8
    SCHED2 = 0x10
    """For the schedulers ``sh`` and ``mh``: the source's port counts as well."""


class Server(NamedTuple):
    """What a virtual server is known by. ``address`` has 4 or 16 bytes."""

    protocol: int
    address: bytes
    port: int

    @property
    def family(self) -> int:
        return socket.AF_INET if len(self.address) == 4 else socket.AF_INET6

    def __str__(self) -> str:
        protocol = {6: "TCP", 17: "UDP", 132: "SCTP"}.get(self.protocol, str(self.protocol))
        return f"{protocol} {_place(self.address, self.port)}"

    @property
    def option(self) -> str:
        """As ``ipvsadm`` takes it: ``-t 10.96.0.10:80``."""
        return f"{_OPTIONS[self.protocol]} {_place(self.address, self.port)}"


class Settings(NamedTuple):
    """How a virtual server works. ``timeout``: seconds for which a client stays at its destination."""

    scheduler: str = "rr"
    flags: Flags = Flags(0)
    timeout: int = 0


class Destination(NamedTuple):
    """Where connections of a virtual server go."""

    address: bytes
    port: int

    def command(self, server: Server, weight: int) -> str:
        """What ``ipvsadm --save -n`` prints of it, as a destination of ``server``."""
        return f"-a {server.option} -r {_place(self.address, self.port)} -m -w {weight}"


_OPTIONS = {socket.IPPROTO_TCP: "-t", socket.IPPROTO_UDP: "-u", socket.IPPROTO_SCTP: "--sctp-service"}


def _place(address: bytes, port: int) -> str:
    if len(address) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, address)}:{port}"
    return f"[{socket.inet_ntop(socket.AF_INET6, address)}]:{port}"


class DestinationState(NamedTuple):
    """A destination's weight (0: no new connections) and its connections, those that have ended last."""

    weight: int
    active: int
    inactive: int


class Timeouts(NamedTuple):
    """Seconds after which idle connections are forgotten; 0 leaves a value as it is."""

    tcp: int = 0
    tcp_fin: int = 0
    udp: int = 0


class NoIpvs(Exception):
    """The kernel has no IPVS (loaded)."""


class Ipvs:
    """The virtual servers of the network namespace this is opened in. Methods raise NetlinkError."""

    def __init__(self) -> None:
        """Raises NoIpvs."""
        self._socket = genetlink.opened()
        family = genetlink.family_id(self._socket, "IPVS")
        if family is None:
            self._socket.close()
            raise NoIpvs
        self._family = family

    def __enter__(self) -> Ipvs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    # Virtual servers.

    def servers(self) -> dict[Server, Settings]:
        """All there are, but those that take packets by their mark."""
        found = {}
        for message in self._socket.dump(self._family, _HEADER.pack(_GET_SERVICE, 1, 0)):
            parts = _inner(message.payload, _CMD_SERVICE)
            if _S_ADDRESS not in parts:
                continue
            flags, _ = _FLAGS.unpack_from(parts[_S_FLAGS])
            server = Server(
                netlink.number(parts[_S_PROTOCOL]),
                _address(parts[_S_ADDRESS], netlink.number(parts[_S_FAMILY])),
                netlink.be_number(parts[_S_PORT]),
            )
            found[server] = Settings(
                netlink.text(parts[_S_SCHEDULER]),
                Flags(flags & ~Flags.HASHED),
                netlink.number(parts[_S_TIMEOUT]) if flags & Flags.PERSISTENT else 0,
            )
        return found

    def add_server(self, server: Server, settings: Settings) -> None:
        self._command(_NEW_SERVICE, _service(server, settings))

    def set_server(self, server: Server, settings: Settings) -> None:
        """Change how a virtual server works; its connections go on."""
        self._command(_SET_SERVICE, _service(server, settings))

    def delete_server(self, server: Server) -> None:
        """Remove it with its destinations; harmless if it is gone."""
        with _gone_is_fine():
            self._command(_DEL_SERVICE, _service(server))

    # Destinations.

    def destinations(self, server: Server) -> dict[Destination, DestinationState]:
        """A virtual server's destinations."""
        request = _HEADER.pack(_GET_DEST, 1, 0) + _service(server)
        found = {}
        for message in self._socket.dump(self._family, request):
            parts = _inner(message.payload, _CMD_DEST)
            if _D_ADDRESS not in parts:
                continue
            family = netlink.number(parts[_D_FAMILY]) if _D_FAMILY in parts else server.family
            destination = Destination(_address(parts[_D_ADDRESS], family), netlink.be_number(parts[_D_PORT]))
            found[destination] = DestinationState(
                netlink.number(parts[_D_WEIGHT]),
                netlink.number(parts[_D_ACTIVE]),
                netlink.number(parts[_D_INACTIVE]),
            )
        return found

    def add_destination(self, server: Server, destination: Destination, weight: int = 1) -> None:
        self._command(_NEW_DEST, _service(server), _destination(destination, weight))

    def set_weight(self, server: Server, destination: Destination, weight: int) -> None:
        """0: no new connections, while those that exist go on."""
        self._command(_SET_DEST, _service(server), _destination(destination, weight))

    def delete_destination(self, server: Server, destination: Destination) -> None:
        """Remove a destination; harmless if it is gone."""
        with _gone_is_fine():
            self._command(_DEL_DEST, _service(server), _destination(destination, 0))

    # What holds for all.

    def timeouts(self) -> Timeouts:
        for message in self._socket.request(self._family, _HEADER.pack(_GET_CONFIG, 1, 0)):
            parts = netlink.parse_attributes(message.payload, _HEADER.size)
            return Timeouts(*(netlink.number(parts[kind]) for kind in (_CMD_TCP, _CMD_TCP_FIN, _CMD_UDP)))
        raise NetlinkError(errno.ENODATA)

    def set_timeouts(self, timeouts: Timeouts) -> None:
        # One that the request has not counts as 0, which is no change to the kernel either.
        self._command(
            _SET_CONFIG,
            u32(_CMD_TCP, timeouts.tcp),
            u32(_CMD_TCP_FIN, timeouts.tcp_fin),
            u32(_CMD_UDP, timeouts.udp),
        )

    def _command(self, number: int, *attributes: bytes) -> None:
        payload = _HEADER.pack(number, 1, 0) + b"".join(attributes)
        self._socket.request(self._family, payload, NLM_F_ACK)


def _service(server: Server, settings: Settings | None = None) -> bytes:
    parts = [
        u16(_S_FAMILY, server.family),
        u16(_S_PROTOCOL, server.protocol),
        attribute(_S_ADDRESS, server.address.ljust(_ADDRESS_BYTES, b"\0")),
        be16(_S_PORT, server.port),
    ]
    if settings is not None:
        every = 0xFFFFFFFF if len(server.address) == 4 else 128
        parts += [
            string(_S_SCHEDULER, settings.scheduler),
            attribute(_S_FLAGS, _FLAGS.pack(settings.flags, 0xFFFFFFFF)),
            u32(_S_TIMEOUT, settings.timeout),
            u32(_S_NETMASK, every),  # persistence is per client address
        ]
    return nested(_CMD_SERVICE, *parts)


def _destination(destination: Destination, weight: int) -> bytes:
    family = socket.AF_INET if len(destination.address) == 4 else socket.AF_INET6
    return nested(
        _CMD_DEST,
        attribute(_D_ADDRESS, destination.address.ljust(_ADDRESS_BYTES, b"\0")),
        be16(_D_PORT, destination.port),
        u32(_D_METHOD, MASQUERADE),
        u32(_D_WEIGHT, weight),
        u32(_D_UPPER, 0),
        u32(_D_LOWER, 0),
        u16(_D_FAMILY, family),
    )


def _inner(payload: memoryview, kind: int) -> dict[int, memoryview]:
    outer = netlink.parse_attributes(payload, _HEADER.size)
    return netlink.parse_attributes(outer.get(kind, memoryview(b"")))


def _address(value: memoryview, family: int) -> bytes:
    return bytes(value[: 4 if family == socket.AF_INET else 16])


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.errno not in (errno.ENOENT, errno.ESRCH):
            raise
