"""What a trace tells: the shape of ``clusterip trace -o json``, which pictures are drawn from.

A :class:`Story` is a list of :class:`Step` in the order in which things happened. Each step is at a
:class:`Place` (a Pod, a node, a DNS server, the world outside), named by the place's ``id``. To draw the
path: one box per place, in the order of ``places`` (the client first, the endpoint last), the steps of a
place in its box, and a line between places that follow each other in the steps of ``way`` ``there``. If
``outcome`` is not ``reached``, ``problems[0]`` is the first thing that is wrong.
"""

from __future__ import annotations

from typing import Literal

import msgspec

VERSION = 1
"""Of this shape; it is counted up when a field changes its meaning or goes."""

Basis = Literal["observed", "computed"]
"""``observed``: seen on the packet, in the kernel or from the API while it was sent. ``computed``: what the
objects say must happen."""

Kind = Literal[
    "target",  # what was asked for, and the object that it is
    "dns",  # a question and its answer
    "socket",  # connect or send: the client's socket, and programs at it
    "packet",  # a packet enters or leaves a place: routes, neighbours, links
    "rule",  # a netfilter rule, map element or IPVS entry that decided something
    "choice",  # the endpoint chosen out of which
    "translation",  # addresses rewritten: destination, or source (masquerade)
    "conntrack",  # an entry of connection tracking
    "endpoint",  # what happens at the endpoint
    "answer",  # the way back
    "end",  # what the client has of it
]

Outcome = Literal[
    "reached",
    "no-such-service",
    "no-such-port",
    "no-matching-pods",
    "not-ready",
    "no-endpoints",
    "target-port",
    "nobody-listens",
    "dropped",
    "refused",
    "stale-proxy",
    "dns",
    "wrong-address",
    "no-route",
    "timeout",
]
"""How it ended. All but ``reached`` name the first thing that is wrong."""

EXIT_CODES: dict[Outcome, int] = {
    "reached": 0,
    # 1: the command itself failed; 2: it was called wrongly
    "no-such-service": 10,
    "no-such-port": 11,
    "no-matching-pods": 12,
    "not-ready": 13,
    "no-endpoints": 14,
    "target-port": 15,
    "nobody-listens": 16,
    "dropped": 17,
    "refused": 18,
    "stale-proxy": 19,
    "dns": 20,
    "wrong-address": 21,
    "no-route": 22,
    "timeout": 23,
}
"""What ``clusterip trace`` exits with, so that scripts can tell."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where steps happen. ``id`` is unique in a story.

    ``node`` is the node of a Pod; ``addresses`` are those known of it. ``watched``: its packets were
    observed; else ``note`` says why they could not be.
    """

    id: str
    kind: Literal["pod", "node", "external", "dns", "service"]
    name: str
    node: str = ""
    addresses: tuple[str, ...] = ()
    watched: bool = False
    note: str = ""


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """A packet's addresses at a place. ``input`` and ``output`` are interfaces, empty where it has none."""

    protocol: str
    source: str
    sourcePort: int
    destination: str
    destinationPort: int
    input: str = ""
    output: str = ""
    flags: str = ""

    def __str__(self) -> str:
        left, right = join(self.source, self.sourcePort), join(self.destination, self.destinationPort)
        return f"{self.protocol} {left} → {right}{f' [{self.flags}]' if self.flags else ''}"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that a packet matched.

    ``syntax`` is that of the program that shows it: ``nft`` or ``iptables``. ``text`` is the rule as that
    program prints it; empty if it could not be read. ``elements`` are the set and map elements that the
    packet found there, as ``nft get element`` takes them. ``verdict``: ``accept``, ``goto CHAIN``, …
    """

    syntax: Literal["nft", "iptables", "ipvs", "ebpf"]
    family: str
    table: str
    chain: str
    hook: str = ""
    handle: int = 0
    text: str = ""
    elements: tuple[str, ...] = ()
    verdict: str = ""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. ``probability`` is 0 for one that is left out, and ``reason`` says why."""

    address: str
    pod: str = ""
    node: str = ""
    zone: str = ""
    probability: float = 0.0
    chosen: bool = False
    reason: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened.

    ``at``: milliseconds since the trace began, None for what has no time (routes, computed things).
    ``details`` are lines for a person; the fields after it carry what is in them as data, where there is any.
    """

    kind: Kind
    basis: Basis
    place: str
    title: str
    way: Literal["", "there", "back"] = ""
    at: float | None = None
    details: tuple[str, ...] = ()
    packet: Packet | None = None
    rules: tuple[Rule, ...] = ()
    candidates: tuple[Candidate, ...] = ()


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, where it is seen, and what would mend it."""

    code: Outcome
    what: str
    evidence: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``service`` is ``namespace/name``, empty if the target is no Service; ``endpoint`` the
    ``address:port`` that was tried, empty if none was; ``mode`` how the proxy programs the kernel.
    ``milliseconds``: from the first step to the end of the answer.
    """

    version: int = VERSION
    client: str
    target: str
    service: str = ""
    mode: str = ""
    endpoint: str = ""
    outcome: Outcome
    summary: str
    milliseconds: float = 0.0
    places: tuple[Place, ...] = ()
    steps: tuple[Step, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]


def join(address: str, port: int) -> str:
    """``10.96.0.1:80``, ``[fd00::1]:80``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
