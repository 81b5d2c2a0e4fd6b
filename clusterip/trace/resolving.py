"""The DNS questions of a client: its search paths, as the resolver of the C library walks them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from clusterip.trace.request import Target
from clusterip.trace.running import Asked
from clusterip.trace.story import Step, join

RCODES = {0: "no address of this family", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
_SERVERS = 3  # MAXNS of resolv.h


@dataclass(frozen=True)
class Resolver:
    """What an ``/etc/resolv.conf`` says."""

    servers: tuple[str, ...]
    search: tuple[str, ...] = ()
    ndots: int = 1

    def names(self, target: Target) -> list[str]:
        """The names asked for, in order: resolv.conf(5), ``ndots``."""
        if target.is_absolute:
            return [target.host]
        searched = [f"{target.host}.{suffix}" for suffix in self.search]
        if target.host.count(".") >= self.ndots:
            return [target.host, *searched]
        return [*searched, target.host]


def read_resolv_conf(text: str) -> Resolver:
    """Parse an ``/etc/resolv.conf``."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    ndots = 1
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        match words[0]:
            case "nameserver" if len(words) > 1:
                servers.append(words[1])
            case "search" | "domain":
                search = tuple(word.rstrip(".") for word in words[1:] if word.rstrip("."))
            case "options":
                for word in words[1:]:
                    if word.startswith("ndots:") and word[6:].isdigit():
                        ndots = min(int(word[6:]), 15)
    return Resolver(tuple(servers[:_SERVERS]), search, ndots)


def ask(
    resolver: Resolver, target: Target, version: int, lookup: Callable[[str, int, list[str]], list[Asked]]
) -> tuple[list[Asked], str]:
    """Ask for each name until one has an address; all that was asked, and the address or nothing."""
    asked: list[Asked] = []
    for name in resolver.names(target):
        tried = lookup(name, version, list(resolver.servers))
        asked += tried
        last = tried[-1] if tried else None
        if last is None or last.rcode < 0:  # no server answers: nobody tries the next name
            break
        if last.rcode == 0 and (addresses := addresses_in(last)):
            return asked, addresses[0]
    return asked, ""


def addresses_in(asked: Asked) -> list[str]:
    """The addresses in an answer, without aliases."""
    return [each for each in asked.answers if not each.startswith("alias of ")]


def steps(
    resolver: Resolver,
    asked: Sequence[Asked],
    version: int,
    place: str,
    begun: float,
    answered_by: Callable[[Asked], str],
) -> Iterator[Step]:
    """The questions as steps. ``answered_by`` says which server behind an address answered."""
    kind = "A" if version == 4 else "AAAA"
    search = " ".join(resolver.search) or "none"
    first = f"search paths: {search}; ndots {resolver.ndots}; servers: {', '.join(resolver.servers)}"
    for number, each in enumerate(asked):
        took = (each.ended - each.begun) * 1000
        if each.rcode < 0:
            said = each.error or each.result
        elif each.answers:
            said = ", ".join(each.answers)
        else:
            said = RCODES.get(each.rcode, f"rcode {each.rcode}")
        details = [first] if not number else []
        if each.rcode >= 0 and (server := answered_by(each)):
            details.append(f"answered by {server} in {took:.2f} ms")
        elif each.rcode >= 0:
            details.append(f"answered in {took:.2f} ms")
        yield Step(
            kind="dns",
            basis="observed",
            place=place,
            title=f"asks {join(each.server, 53)} for {each.name}. {kind}: {said}",
            at=round((each.begun - begun) * 1000, 3),
            details=tuple(details),
        )
