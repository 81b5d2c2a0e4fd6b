"""Cases: what is given, and what must follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from clusterip.proxy import wire
from tests.kernel.proxy.cases.bed import Bed
from tests.kernel.proxy.cases.place import Place

Thing = wire.Service | wire.EndpointSlice
ALL = ("here-1", "here-2", "away")


class Client(Enum):
    """Who connects. The value is the name of its Pod, if it is one."""

    POD = "client"
    """A Pod of this node that is no endpoint."""
    POD_ELSEWHERE = "away-client"
    """A Pod of another node, whose packets come to this one."""
    ENDPOINT = "here-1"
    """An endpoint itself."""
    NODE = "node"
    """The node itself."""
    OUTSIDE = "outside"
    """A machine that is not of the cluster."""

    def to(self, address: str, port: int = 80) -> Dial:
        return Dial(self, address, port)


EVERYBODY = (Client.POD, Client.POD_ELSEWHERE, Client.NODE, Client.OUTSIDE)


class Result(Enum):
    ANSWER = "answered"
    REFUSED = "refused at once"
    SILENCE = "not answered"


class Seen(Enum):
    """As whom the server sees its client."""

    ANY = "anybody"
    ITSELF = "itself"
    MASKED = "somebody else"


@dataclass(frozen=True)
class Dial:
    """Connections from a client to an address, and what becomes of them."""

    client: Client
    address: str
    port: int
    result: Result = Result.ANSWER
    by: frozenset[str] = frozenset()
    seen: Seen = Seen.ANY

    def reaches(self, *pods: str, seen: Seen = Seen.ANY) -> Dial:
        """Connections are answered by these Pods, by each of them, and by nobody else."""
        return Dial(self.client, self.address, self.port, by=frozenset(pods), seen=seen)

    @property
    def is_refused(self) -> Dial:
        return Dial(self.client, self.address, self.port, Result.REFUSED)

    @property
    def is_dropped(self) -> Dial:
        return Dial(self.client, self.address, self.port, Result.SILENCE)


@dataclass(frozen=True)
class Step:
    """Objects that are there from now on (or ``gone``), and what then becomes of connections."""

    given: Iterable[Thing] = ()
    dials: Iterable[Dial] = ()
    gone: Iterable[Thing] = ()


Script = Callable[[Bed, Place], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """One behaviour: either steps, or a script where what follows depends on what came before.

    ``places``: where it happens; ``options``: how the proxy is configured for it (see ``Bed``).
    """

    name: str
    steps: Callable[[Place], Iterable[Step]] | None = None
    script: Script | None = None
    places: tuple[Place, ...] = field(default=())
    options: dict[str, object] = field(default_factory=dict)


V4, V6 = Place("IPv4"), Place("IPv6")
V4_UDP, V6_UDP = Place("IPv4", "UDP"), Place("IPv6", "UDP")
TCP = (V4, V6)
UDP = (V4_UDP, V6_UDP)
BOTH = (V4, V6, V4_UDP, V6_UDP)
ALL_PROTOCOLS = (*BOTH, Place("IPv4", "SCTP"), Place("IPv6", "SCTP"))

CASES: list[Case] = []


def case(
    name: str, *places: Place, **options: object
) -> Callable[[Callable[[Place], Iterable[Step]]], Callable[[Place], Iterable[Step]]]:
    """Add what the decorated function gives for a place as a case; IPv4 and IPv6 with TCP unless told."""

    def add(function: Callable[[Place], Iterable[Step]]) -> Callable[[Place], Iterable[Step]]:
        CASES.append(Case(name, steps=function, places=places or TCP, options=options))
        return function

    return add


def script(name: str, *places: Place, **options: object) -> Callable[[Script], Script]:
    """The same for a case that is told as a script."""

    def add(function: Script) -> Script:
        CASES.append(Case(name, script=function, places=places or TCP, options=options))
        return function

    return add
