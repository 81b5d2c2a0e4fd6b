"""Everything seen and computed, put in the order of a packet's way: the :class:`Story`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from clusterip.kernel.tracked import Tracked
from clusterip.objects.core.event import Event
from clusterip.proxy.explain.service import Row
from clusterip.trace import resolving
from clusterip.trace.diagnosis import Case, diagnose
from clusterip.trace.expectation import Expectation, Known
from clusterip.trace.journey import Leg, ordered
from clusterip.trace.listeners import Listener
from clusterip.trace.narration import Narrator, Told
from clusterip.trace.objects import Objects
from clusterip.trace.places import Spot, Spots
from clusterip.trace.request import Request
from clusterip.trace.resolving import Resolver
from clusterip.trace.running import Asked, Connection
from clusterip.trace.story import Outcome, Place, Problem, Rule, Step, Story, join
from clusterip.trace.watching import Watched


@dataclass
class Evidence:
    """All that was seen. ``begun`` is the ``time.monotonic()`` that times are counted from.

    ``address`` and ``number`` are what was dialled, ``chosen`` the ``address:port`` that it became, ``entry``
    the node that decides, ``row`` what should happen there. ``servers`` has who answered a question, by the
    question's ``id``. ``entries`` are those of connection tracking, by place; ``ipvs`` the virtual server at
    ``entry``.
    """

    expectation: Expectation
    spots: Spots
    begun: float
    version: int = 4
    mark: int = 0
    address: str = ""
    number: int = 0
    chosen: str = ""
    entry: Spot | None = None
    row: Row | None = None
    resolver: Resolver | None = None
    asked: list[Asked] = field(default_factory=list)
    servers: dict[int, str] = field(default_factory=dict)
    connection: Connection | None = None
    watched: dict[str, Watched] = field(default_factory=dict)
    entries: dict[str, Tracked] = field(default_factory=dict)
    listening: list[Listener] | None = None
    ipvs: list[str] = field(default_factory=list)
    events: dict[str, Sequence[Event]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def tell(request: Request, objects: Objects, evidence: Evidence) -> Story:
    """The story of a request."""
    return _Teller(request, objects, evidence).story()


class _Teller:
    def __init__(self, request: Request, objects: Objects, evidence: Evidence) -> None:
        self._request = request
        self._objects = objects
        self._evidence = evidence
        self._told: dict[str, list[Told]] = {}
        self._lost: tuple[str, Rule] | None = None

    def story(self) -> Story:
        evidence, aim = self._evidence, self._objects.aim
        steps = [*self._target(), *self._questions(), *self._socket()]
        way = self._way()
        for place, leg in way:
            steps += self._there(place, leg)
        if evidence.entry is not None and evidence.entry.place.id not in self._told:
            steps += self._unseen(evidence.entry.place.id)
        steps += self._endpoint()
        steps += self._back(way)
        problems = diagnose(self._case())
        outcome: Outcome = problems[0].code if problems else "reached"
        steps += self._end()
        notes = [
            *self._objects.notes,
            *evidence.notes,
            *(f"{w.place.id}: {w.note}" for w in evidence.watched.values() if w.note),
        ]
        ended = evidence.connection.ended if evidence.connection else None
        begun = evidence.begun
        if ended is None and evidence.asked:
            ended = evidence.asked[-1].ended
        return Story(
            client=str(self._request.client),
            target=self._request.target.text,
            service=f"{aim.namespace}/{aim.name}" if aim.service is not None else "",
            mode=self._objects.mode,
            endpoint=evidence.chosen,
            outcome=outcome,
            summary=self._summary(problems),
            milliseconds=round((ended - begun) * 1000, 3) if ended is not None else 0.0,
            places=tuple(self._places([place for place, _ in way])),
            steps=tuple(steps),
            problems=tuple(problems),
            notes=tuple(notes),
        )

    # Where.

    @property
    def _client(self) -> Place:
        return self._evidence.spots.client.place

    def _way(self) -> list[tuple[str, Leg]]:
        """The legs of the packet, in their order. ``there`` of each place is asked once."""
        evidence = self._evidence
        last = evidence.spots.endpoints.get(evidence.chosen)
        legs = {place: watched.there() for place, watched in evidence.watched.items()}
        return ordered(self._client.id, legs, last.place.id if last is not None else "")

    def _places(self, way: Sequence[str]) -> Iterator[Place]:
        where, evidence = self._evidence.spots, self._evidence
        last = where.endpoints.get(evidence.chosen)
        asked = Place(id=self._dns, kind="dns", name="DNS", addresses=self._resolver_servers())
        node = [evidence.entry.place] if evidence.entry is not None else []
        ends = [last.place] if last is not None else []
        watched = evidence.watched
        passed = [watched[each].place for each in way if not ends or each != ends[0].id]
        found = [self._client, *([asked] if evidence.asked else []), *(passed or node), *ends]
        for place in dict.fromkeys(found):
            seen = watched.get(place.id)
            local = evidence.connection.local[0] if evidence.connection is not None else ""
            if place.kind == "external" and place is self._client and local:
                place = msgspec.structs.replace(place, addresses=(local,))
            yield place if seen is None or seen.recorder is None else _as_watched(place)

    def _resolver_servers(self) -> tuple[str, ...]:
        return self._evidence.resolver.servers if self._evidence.resolver else ()

    _dns = "dns"

    # Steps.

    def _step(self, kind: str, basis: str, title: str, details: Sequence[str] = (), **more: object) -> Step:
        place = more.pop("place", self._client.id)
        return Step(kind=kind, basis=basis, place=place, title=title, details=tuple(details), **more)  # type: ignore[arg-type]

    def _target(self) -> Iterator[Step]:
        aim = self._objects.aim
        if aim.service is None:
            if aim.name:
                text = f"there is no Service {aim.namespace}/{aim.name}"
            else:
                text = f"{self._request.target.host} is no Service's"
            yield self._step("target", "computed", text)
            return
        service = aim.service
        spec = service.spec
        kind = "headless" if spec.clusterIP == "None" else spec.type
        addresses = ", ".join(spec.clusterIPs or [spec.clusterIP]) if spec.clusterIP != "None" else ""
        title = f"Service {aim.namespace}/{aim.name}, {kind}{f' {addresses}' if addresses else ''}"
        details = []
        if aim.port is not None:
            port = aim.port
            name = f"port {port.name!r} " if port.name else "port "
            text = f"{name}{port.port}/{aim.protocol} → target port {port.targetPort or port.port}"
            details.append(f"{text}{f', node port {port.nodePort}' if port.nodePort else ''}")
        if aim.alias:
            details.append(f"{aim.alias} is an alias of it (ExternalName)")
        if aim.via and aim.address:
            details.append(f"by its {aim.via} {join(aim.address, aim.number)}")
        selector = ",".join(f"{key}={value}" for key, value in (spec.selector or {}).items())
        details.append(f"selector {selector}" if selector else "no selector")
        for policy in ("internalTrafficPolicy", "externalTrafficPolicy"):
            if getattr(spec, policy, None) == "Local":
                details.append(f"{policy}: Local")
        if spec.sessionAffinity == "ClientIP":
            details.append("sessionAffinity: ClientIP: a client stays with its endpoint")
        yield self._step("target", "computed", title, details)

    def _questions(self) -> Iterator[Step]:
        evidence = self._evidence
        if evidence.resolver is None:
            return
        yield from resolving.steps(
            evidence.resolver, evidence.asked, evidence.version, self._dns, evidence.begun, self._server
        )

    def _server(self, asked: Asked) -> str:
        behind = self._evidence.servers.get(id(asked), "")
        address = behind.rpartition(":")[0].strip("[]")
        if not behind:
            return ""
        for spot in self._evidence.spots.nodes.values():
            if address in spot.place.addresses:
                return f"{behind} on {spot.place.name}"
        pods = [pod for pod in self._objects.pods if pod.status.podIP == address]
        return f"{behind}, Pod {pods[0].metadata.name}" if pods else behind

    def _socket(self) -> Iterator[Step]:
        evidence, connection = self._evidence, self._evidence.connection
        if connection is None:
            return
        dialled = join(evidence.address, evidence.number)
        verb = "connects to" if self._objects.aim.protocol == "TCP" else "sends to"
        details = []
        if connection.local[1]:
            details.append(f"its own end is {join(*connection.local)}")
        at = self._time(connection.begun)
        title = f"{verb} {dialled}/{self._objects.aim.protocol.lower()}"
        yield self._step("socket", "observed", title, details, at=at, way="there")
        if connection.remote is not None and join(*connection.remote) == evidence.chosen != dialled:
            peer = f"getpeername() says {join(*connection.peer)}" if connection.peer else ""
            yield self._step(
                "choice",
                "observed",
                f"a program at the socket (cgroup/connect) rewrote the destination: {dialled} becomes"
                f" {evidence.chosen}",
                [
                    *([peer] if peer else []),
                    "packets go to the endpoint directly; no rule has to translate them",
                ],
                at=at,
                way="there",
                candidates=evidence.expectation.candidates(evidence.row, evidence.chosen),
            )

    def _expected(self, place: str) -> Iterator[Step]:
        row = self._evidence.row
        if row is None:
            return
        if row.verdict != "reached":
            title = f"by the API it should be {row.verdict}: {row.why}"
            candidates = self._evidence.expectation.candidates(row, "")
            yield self._step("choice", "computed", title, place=place, way="there", candidates=candidates)
            return
        many = len(row.endpoints)
        part = f", each with probability {1 / many:.3g}" if many > 1 else ""
        count = (
            f"one of {many} endpoints{part}" if many > 1 else f"the only endpoint, {row.endpoints[0].address}"
        )
        source = "the client's address is kept" if row.source == "kept" else "the source is masqueraded"
        title = f"by the API it should reach {count}; {source}: {row.why}"
        yield self._step("choice", "computed", title, place=place, way="there")

    def _there(self, place: str, leg: Leg) -> list[Step]:
        evidence = self._evidence
        narrator = Narrator(evidence.watched[place], evidence.begun)
        told = narrator.there(
            leg,
            lambda chosen: evidence.expectation.candidates(evidence.row, chosen),
            self._why_masqueraded(leg),
        )
        self._told.setdefault(place, []).append(told)
        steps = list(told.steps)
        if len(self._told[place]) == 1:
            if evidence.entry is not None and place == evidence.entry.place.id:
                steps[1:1] = [*self._expected(place), *self._virtual_server(place)]
            steps += self._tracking(place)
        return steps

    def _unseen(self, place: str) -> Iterator[Step]:
        """Of the node that decides, where its packets could not be recorded."""
        if self._evidence.connection is not None:
            yield from self._expected(place)
            yield from self._virtual_server(place)
            yield from self._tracking(place)

    def _virtual_server(self, place: str) -> Iterator[Step]:
        lines = self._evidence.ipvs
        if lines:
            rules = [Rule(syntax="ipvs", family="", table="", chain="", text=each) for each in lines]
            title = "IPVS has a virtual server for the address"
            details = [f"ipvsadm {line}" for line in lines]
            yield self._step("rule", "observed", title, details, place=place, way="there", rules=tuple(rules))

    def _why_masqueraded(self, leg: Leg) -> str:
        row, headers = self._evidence.row, leg[0].headers
        if headers.source == self._evidence.chosen.rpartition(":")[0].strip("[]"):
            return "the client is the endpoint itself: its answers have to come back through the node"
        return row.why if row is not None else ""

    def _back(self, way: Sequence[tuple[str, Leg]]) -> Iterator[Step]:
        """The answer passes the places in the other direction."""
        left = {place: list(watched.back()) for place, watched in self._evidence.watched.items()}
        for place, _ in reversed(way):
            if left[place]:
                narrator = Narrator(self._evidence.watched[place], self._evidence.begun)
                told = narrator.back(left[place].pop(0))
                if told.ended is not None:
                    self._lost = place, told.ended
                yield from told.steps

    def _endpoint(self) -> Iterator[Step]:
        evidence = self._evidence
        if not evidence.chosen:
            return
        known = evidence.expectation.known.get(evidence.chosen, Known(evidence.chosen))
        who = f"Pod {known.pod}" if known.pod else evidence.chosen
        where = f" on {known.node}" if known.node else ""
        spot = evidence.spots.endpoints.get(evidence.chosen)
        place = spot.place.id if spot else self._client.id
        if evidence.listening is None:
            title = f"{who}{where}: its sockets cannot be seen from here"
            yield self._step("endpoint", "computed", title, place=place, way="there")
            return
        address, _, port = evidence.chosen.rpartition(":")
        here = [each for each in evidence.listening if each.port == int(port)]
        takes = [each for each in here if each.takes(address.strip("[]"))]
        if takes:
            title = f"{who}{where} listens on {join(*takes[0])}"
        elif here:
            title = f"{who}{where} listens on {', '.join(join(*each) for each in here)} only"
        else:
            title = f"nobody listens on port {port} in {who}{where}"
        yield self._step("endpoint", "observed", title, place=place, way="there")

    def _tracking(self, place: str) -> Iterator[Step]:
        entry = self._evidence.entries.get(place)
        if entry is None:
            return
        changes = []
        if entry.destination_translated:
            changes.append("destination translated")
        if entry.source_translated:
            changes.append("source translated")
        title = f"connection tracking has: {', '.join(changes) or 'nothing translated'}"
        yield self._step("conntrack", "observed", title, [str(entry)], place=place)

    def _end(self) -> Iterator[Step]:
        connection = self._evidence.connection
        if connection is None:
            return
        title, details = _end_of(connection, self._objects.aim.protocol)
        yield self._step("end", "observed", title, details, at=self._time(connection.ended))

    def _time(self, at: float) -> float:
        return round((at - self._evidence.begun) * 1000, 3)

    # What is wrong.

    def _case(self) -> Case:
        evidence = self._evidence
        ended, ended_at = None, ""
        every = [(place, told) for place, tolds in self._told.items() for told in tolds]
        for place, told in every:
            if told.ended is not None and ended is None:
                ended, ended_at = told.ended, place.removeprefix("node/")
        entry = evidence.watched.get(evidence.entry.place.id) if evidence.entry else None
        dialled = join(evidence.address, evidence.number)
        drawn: Sequence[str] = next((told.drawn for _, told in every if told.drawn), ())
        return Case(
            self._objects,
            evidence.expectation.known,
            row=evidence.row,
            asked=evidence.asked,
            connection=evidence.connection,
            chosen=evidence.chosen,
            drawn=drawn,
            ended=ended,
            ended_at=ended_at,
            lost=self._lost,
            is_translated=bool(evidence.chosen) and evidence.chosen != dialled,
            is_watched=entry is not None and entry.recorder is not None,
            listening=evidence.listening,
            events=evidence.events,
            on_nodes={
                address: name
                for name, spot in evidence.spots.nodes.items()
                if spot.found is not None
                for address in spot.found.addresses
            },
        )

    def _summary(self, problems: Sequence[Problem]) -> str:
        evidence, connection = self._evidence, self._evidence.connection
        if problems:
            return problems[0].what
        known = evidence.expectation.known.get(evidence.chosen, Known(evidence.chosen))
        who = f" (Pod {known.pod} on {known.node})" if known.pod else ""
        took = f" in {(connection.ended - connection.begun) * 1000:.2f} ms" if connection else ""
        return f"reached {evidence.chosen or join(evidence.address, evidence.number)}{who}{took}"


def _as_watched(place: Place) -> Place:
    return msgspec.structs.replace(place, watched=True)


def _end_of(connection: Connection, protocol: str) -> tuple[str, list[str]]:
    details = []
    if connection.connected is not None:
        details.append(
            f"the connection was made in {(connection.connected - connection.begun) * 1000:.2f} ms"
        )
    if connection.result == "answered":
        took = (connection.ended - connection.begun) * 1000
        if connection.answer.isprintable() or connection.answer.startswith("HTTP/"):
            details += [f"answer: {line}" for line in connection.answer.splitlines()[:1]]
        size = len(connection.answer)
        return f"the client has an answer of {size} bytes after {took:.2f} ms", details
    if connection.result == "silent" and connection.connected is not None:
        return "the client is connected", [*details, "nothing was sent: only http:// asks for something"]
    said = f": {connection.error}" if connection.error else ""
    return f"the client has nothing: {connection.result}{said}", details
