"""What was recorded at a place, as the steps of a story."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from clusterip.kernel.nftables.tracing import Headers, TraceEvent
from clusterip.trace.journey import Leg, ends
from clusterip.trace.recorder import Passage
from clusterip.trace.rules import priority_of
from clusterip.trace.story import Candidate, Packet, Rule, Step, join
from clusterip.trace.watching import Watched

_PROTOCOLS = {6: "TCP", 17: "UDP", 132: "SCTP"}
_PRIORITIES = {-300: "raw", -200: "conntrack", -150: "mangle", -100: "dstnat", 0: "filter", 100: "srcnat"}

Candidates = Callable[[str], tuple[Candidate, ...]]
"""The endpoints of the Service, given which was chosen."""


@dataclass
class Told:
    """The steps at a place, and what else follows from them.

    ``chosen`` is the ``address:port`` that the destination was rewritten to, ``drawn`` the slots it was drawn
    from if the kernel shows them. ``ended`` is the rule that dropped or refused the packet. ``source`` and
    ``destination`` are as the packet left.
    """

    steps: list[Step] = field(default_factory=list)
    chosen: str = ""
    drawn: list[str] = field(default_factory=list)
    probability: float | None = None
    ended: Rule | None = None
    masqueraded: bool = False
    last: Headers | None = None


class Narrator:
    """Tells of one place. ``begun`` is the ``time.monotonic()`` that times are counted from."""

    def __init__(self, watched: Watched, begun: float) -> None:
        self._watched = watched
        self._begun = begun
        self._priority = ""

    def there(self, passages: Leg, candidates: Candidates, masquerade: str) -> Told:
        """A leg of the first packet. ``masquerade``: why the source should or should not be rewritten."""
        told = Told()
        told.steps.append(self._enters(passages[0], "there"))
        unmoved: list[str] = []
        for passage, following in zip(passages, [*passages[1:], None], strict=True):
            if self._watched.is_own(passage):
                continue
            rules = self._rules(passage)
            changed = following.headers if following else None
            dropped = passage.ends == "drop"
            moved = changed is not None and ends(changed) != ends(passage.headers)
            if moved and changed is not None and rules:
                rules[-1] = self._drawn(told, rules[-1], changed)
            if not (moved or dropped or any(rule.elements for rule in rules)):
                unmoved.append(self._named(passage))
                continue
            told.steps += self._passes(unmoved, passage)
            told.steps.append(self._decides(passage, rules, changed if moved else None, dropped=dropped))
            if dropped:
                told.ended = rules[-1] if rules else self._policy(passage)
            if moved and changed is not None:
                self._translated(told, passage, rules, changed, candidates, masquerade)
        told.steps += self._passes(unmoved, passages[-1])
        told.last = passages[-1].headers
        if told.chosen and not told.masqueraded and told.ended is None:
            kept = f"the source is kept: the endpoint sees {passages[-1].headers.source}"
            details = [f"why: {masquerade}"] if masquerade else []
            at = passages[-1].events[0].at
            told.steps.append(self._step("translation", "observed", kept, at, details, way="there"))
        if told.ended is None:
            told.steps.append(self._leaves(passages[-1], "there"))
        return told

    def back(self, passages: Leg) -> Told:
        """A leg of the first answer, in one step."""
        told = Told()
        first, last = passages[0], passages[-1]
        details = [self._arrival(first)]
        seen = first.headers
        for passage in passages[1:]:
            if ends(passage.headers) != ends(seen):
                details.append(_change(seen, passage.headers))
                seen = passage.headers
        dropped = next((p for p in passages if p.ends == "drop"), None)
        if dropped is not None:
            rules = self._rules(dropped)
            told.ended = rules[-1] if rules else self._policy(dropped)
            details.append(f"DROPPED by {self._named(dropped)}: {told.ended.text}")
        elif last is not first:
            details.append(self._departure(last))
        title = f"the answer{f' ({seen.flags})' if seen.flags else ''} comes by"
        packet = _packet(first.headers, self._watched.network.name(first.events[0].input), "")
        at, ended = first.events[0].at, [told.ended] if told.ended else []
        told.steps.append(
            self._step("answer", "observed", title, at, details, packet=packet, rules=ended, way="back")
        )
        return told

    # Steps.

    def _step(
        self,
        kind: str,
        basis: str,
        title: str,
        at: float | None,
        details: Sequence[str] = (),
        *,
        way: str = "",
        packet: Packet | None = None,
        rules: Sequence[Rule] = (),
        candidates: tuple[Candidate, ...] = (),
    ) -> Step:
        return Step(
            kind=kind,  # type: ignore[arg-type]
            basis=basis,  # type: ignore[arg-type]
            place=self._watched.place.id,
            title=title,
            way=way,  # type: ignore[arg-type]
            at=None if at is None else round((at - self._begun) * 1000, 3),
            details=tuple(details),
            packet=packet,
            rules=tuple(rules),
            candidates=candidates,
        )

    def _passes(self, chains: list[str], until: Passage) -> list[Step]:
        """The base chains that did nothing to the packet; empties the list."""
        if not chains:
            return []
        details = list(chains)
        chains.clear()
        what = "a chain" if len(details) == 1 else f"{len(details)} chains"
        at = until.events[0].at
        return [self._step("rule", "observed", f"passes {what} unchanged", at, details, way="there")]

    def _enters(self, passage: Passage, way: str) -> Step:
        event = passage.events[0]
        network = self._watched.network
        packet = _packet(passage.headers, network.name(event.input), "")
        title = "arrives" if event.input else "is sent"
        details = [self._arrival(passage)]
        return self._step(
            "packet", "observed", f"{packet} {title}", event.at, details, way=way, packet=packet
        )

    def _leaves(self, passage: Passage, way: str) -> Step:
        event = passage.events[0]
        network = self._watched.network
        _, _, chain = passage.chain
        output = network.name(event.output)
        packet = _packet(passage.headers, "", output)
        if not event.output or (self._watched.is_own(passage) and chain == "input"):
            return self._step("packet", "observed", "is delivered here", event.at, (), way=way, packet=packet)
        details = [self._departure(passage), *network.way_to(passage.headers.destination)]
        return self._step("packet", "observed", f"{packet} leaves", event.at, details, way=way, packet=packet)

    def _decides(
        self, passage: Passage, rules: list[Rule], changed: Headers | None, *, dropped: bool
    ) -> Step:
        if dropped:
            refused = any("reject" in rule.text.lower() for rule in rules[-1:])
            title = f"{'REFUSED' if refused else 'DROPPED'} by {self._named(passage)}"
        elif changed is not None:
            title = f"{self._named(passage)}: {_change(passage.headers, changed)}"
        else:
            title = self._named(passage)
        at = passage.events[-1].at
        packet = _packet(passage.headers, "", "")
        return self._step(
            "rule", "observed", title, at, _lines(rules), way="there", packet=packet, rules=rules
        )

    def _translated(
        self,
        told: Told,
        passage: Passage,
        rules: list[Rule],
        changed: Headers,
        candidates: Candidates,
        masquerade: str,
    ) -> None:
        before = passage.headers
        at = passage.events[-1].at
        if (changed.destination, changed.destination_port) != (before.destination, before.destination_port):
            told.chosen = join(changed.destination, changed.destination_port)
            told.probability = self._watched.rules.probability(rules)
            chosen = candidates(told.chosen)
            title = f"endpoint {told.chosen} is chosen"
            if self._watched.rules.is_remembered(rules):
                told.probability = None
                title += ": session affinity, this client was there before"
                chosen = tuple(map(_kept_to, chosen))
            if told.probability is not None:
                title += f", with probability {told.probability:.3g}"
            details = [f"the kernel draws from: {', '.join(told.drawn)}"] if told.drawn else []
            told.steps.append(
                self._step("choice", "observed", title, at, details, way="there", candidates=chosen)
            )
        if changed.source != before.source or changed.source_port != before.source_port:
            told.masqueraded = changed.source != before.source
            title = f"the source is masqueraded: {_change(before, changed)}"
            details = [f"why: {masquerade}"] if masquerade else []
            told.steps.append(self._step("translation", "observed", title, at, details, way="there"))

    # Pieces.

    def _drawn(self, told: Told, rule: Rule, changed: Headers) -> Rule:
        """The rule that translated, with the element of its map that it drew, and all it draws from."""
        slots = self._watched.rules.slots(rule, self._priority)
        if not slots:
            return rule
        told.drawn = [_joined(value) for value in slots]
        element = slots.get(f"{changed.destination} . {changed.destination_port}")
        return msgspec.structs.replace(rule, elements=(*rule.elements, element)) if element else rule

    def _rules(self, passage: Passage) -> list[Rule]:
        found = []
        for event in passage.events:
            if event.kind != "rule" or not event.handle:
                continue
            verdict = f"{event.verdict} {event.target}".strip()
            rule = self._watched.rules.rule(
                event.family, event.table, event.chain, event.handle, verdict, passage.headers
            )
            self._priority = priority_of(rule.elements) or self._priority
            found.append(rule)
        return found

    def _policy(self, passage: Passage) -> Rule:
        event: TraceEvent = passage.events[-1]
        return Rule(
            syntax="nft",
            family=event.family,
            table=event.table,
            chain=event.chain,
            text=f"policy {event.verdict}",
            verdict=event.verdict,
        )

    def _named(self, passage: Passage) -> str:
        family, table, chain = passage.chain
        base = self._watched.rules.base(family, table, chain)
        if base is None:
            return f"{family} {table} {chain}"
        priority = _PRIORITIES.get(base.priority, str(base.priority))
        return f"{base.hook} {priority}: {family} {table} {chain}"

    def _arrival(self, passage: Passage) -> str:
        event = passage.events[0]
        if not event.input:
            return "made here"
        return f"by {self._watched.network.via(event.input, passage.headers.source)}"

    def _departure(self, passage: Passage) -> str:
        event = passage.events[0]
        if not event.output:
            return "to a process here"
        return f"by {self._watched.network.via(event.output, passage.headers.destination)}"


def _change(before: Headers, after: Headers) -> str:
    changes = []
    for what in ("source", "destination"):
        old = join(getattr(before, what), getattr(before, f"{what}_port"))
        new = join(getattr(after, what), getattr(after, f"{what}_port"))
        if old != new:
            changes.append(f"{what} {old} becomes {new}")
    return ", ".join(changes)


def _packet(headers: Headers, input_: str, output: str) -> Packet:
    return Packet(
        protocol=_PROTOCOLS.get(headers.protocol, str(headers.protocol)),
        source=headers.source,
        sourcePort=headers.source_port,
        destination=headers.destination,
        destinationPort=headers.destination_port,
        input=input_,
        output=output,
        flags=headers.flags,
    )


def _lines(rules: Sequence[Rule]) -> list[str]:
    """Each rule in its chain, with the elements found, indented as the chains call each other."""
    lines: list[str] = []
    chains: list[str] = []
    for rule in rules:
        if rule.chain in chains:
            del chains[chains.index(rule.chain) + 1 :]
        else:
            chains.append(rule.chain)
        indent = "  " * (len(chains) - 1)
        lines.append(f"{indent}{rule.chain}: {rule.text or f'rule with handle {rule.handle}'}")
        lines += [f"{indent}    found {element}" for element in rule.elements]
    return lines


def _kept_to(candidate: Candidate) -> Candidate:
    """As session affinity leaves it."""
    if candidate.chosen:
        return msgspec.structs.replace(candidate, probability=1.0)
    reason = candidate.reason or "session affinity keeps the client to another"
    return msgspec.structs.replace(candidate, probability=0.0, reason=reason)


def _joined(element: str) -> str:
    """``10.244.1.2 . 8080`` as ``10.244.1.2:8080``."""
    address, _, port = element.partition(" . ")
    return join(address, int(port)) if port.isdigit() else element
