"""The first thing that is wrong, and what would mend it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from clusterip.objects.core.event import Event
from clusterip.objects.core.pod.types import Pod
from clusterip.objects.core.service.types import Service
from clusterip.proxy.explain.service import Row
from clusterip.trace.expectation import Known
from clusterip.trace.listeners import Listener
from clusterip.trace.objects import Aim, Objects, addresses_of, nearest, selects
from clusterip.trace.running import Asked, Connection
from clusterip.trace.story import Outcome, Problem, Rule, join

_PROXY_TABLES = ("clusterip", "kube-proxy")


@dataclass
class Case:
    """All that is known when a trace is over.

    ``row`` is what was computed, ``connection`` what the client has of it (None: nothing was sent),
    ``chosen`` and ``drawn`` are the endpoints that the kernel had. ``ended`` is the rule that stopped the
    packet, at the place ``ended_at``, and ``lost`` a place and its rule that
    stopped the answer. ``listening`` are the sockets at the endpoint, None if it could not be
    looked at. ``events`` are those of Pods that are not ready, by their names. ``on_nodes``: the node
    that has an address, also where the API does not know of it.
    """

    objects: Objects
    known: Mapping[str, Known]
    row: Row | None = None
    asked: Sequence[Asked] = ()
    connection: Connection | None = None
    chosen: str = ""
    drawn: Sequence[str] = ()
    ended: Rule | None = None
    ended_at: str = ""
    lost: tuple[str, Rule] | None = None
    is_translated: bool = False
    is_watched: bool = False
    listening: Sequence[Listener] | None = None
    events: Mapping[str, Sequence[Event]] = field(default_factory=dict)
    on_nodes: Mapping[str, str] = field(default_factory=dict)


def diagnose(case: Case) -> list[Problem]:
    """What is wrong, the first cause first; nothing if the target was reached."""
    if case.connection is not None and case.connection.is_reached:
        return []
    return [problem for check in _CHECKS for problem in check(case)] or list(_other(case))


def unmended(objects: Objects) -> bool:
    """Whether a connection cannot even be tried: there is nothing to connect to."""
    aim = objects.aim
    return aim.number == 0 or (_has_ports(aim) and aim.port is None)


def _has_ports(aim: Aim) -> bool:
    """Whether a Service's ports say which there are: an ``ExternalName`` has none of its own."""
    return aim.service is not None and aim.service.spec.type != "ExternalName"


def _no_such_service(case: Case) -> Iterator[Problem]:
    aim, services = case.objects.aim, case.objects.services
    if aim.service is not None or not aim.name:
        return
    here = [s.metadata.name for s in services if s.metadata.namespace == aim.namespace]
    elsewhere = [s.metadata.namespace for s in services if s.metadata.name == aim.name]
    remedy = []
    if elsewhere:
        remedy.append(
            f"there is one in namespace {', '.join(elsewhere)}: write {aim.name}.{elsewhere[0]} for the name"
        )
    if close := nearest(aim.name, here):
        remedy.append(f"did you mean {' or '.join(close)}?")
    if not remedy:
        remedy.append(f"namespace {aim.namespace} has {', '.join(sorted(here)[:8]) or 'no Services'}")
    yield Problem(
        code="no-such-service",
        what=f"there is no Service {aim.name} in namespace {aim.namespace}",
        remedy=tuple(remedy),
    )


def _no_such_port(case: Case) -> Iterator[Problem]:
    aim = case.objects.aim
    if aim.service is None or not _has_ports(aim) or aim.port is not None:
        return
    ports = [_port_text(port.name, port.port, port.protocol) for port in aim.service.spec.ports]
    wanted = f" {aim.number}/{aim.protocol}" if aim.number else " of that name or protocol"
    yield Problem(
        code="no-such-port",
        what=f"the Service {aim.namespace}/{aim.name} has no port{wanted}",
        evidence=(f"its ports: {', '.join(ports) or 'none'}",),
        remedy=("connect to one of these, or add the port to the Service's spec.ports",),
    )


def _port_text(name: str, number: int, protocol: str) -> str:
    return f"{number}/{protocol or 'TCP'}{f' ({name})' if name else ''}"


def _dns(case: Case) -> Iterator[Problem]:
    if not case.asked or any(asked.rcode == 0 and asked.answers for asked in case.asked):
        return
    servers = ", ".join(dict.fromkeys(asked.server for asked in case.asked))
    evidence = tuple(
        f"{asked.name} of {asked.server}: {asked.error or asked.result}"
        if asked.rcode < 0
        else f"{asked.name} of {asked.server}: {_RCODES.get(asked.rcode, f'rcode {asked.rcode}')}"
        for asked in case.asked
    )
    if all(asked.rcode < 0 for asked in case.asked):
        yield Problem(
            code="dns",
            what=f"no DNS server answers the client: {servers}",
            evidence=evidence,
            remedy=(
                "see whether the DNS servers run: clusterip status, or kubectl -n kube-system get endpoints"
                " kube-dns",
                f"follow a question to one: clusterip trace {join(case.asked[0].server, 53)}/udp",
            ),
        )
        return
    known = case.objects.aim.service is not None
    yield Problem(
        code="dns",
        what="DNS has no address for the name" + (", though the Service exists" if known else ""),
        evidence=evidence,
        remedy=(
            "the DNS server does not see the Service: look at its log and at /readyz of it"
            if known
            else "see the name, and the search paths of the client's /etc/resolv.conf",
        ),
    )


_RCODES = {0: "no address of this family", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def _no_endpoints(case: Case) -> Iterator[Problem]:
    aim = case.objects.aim
    if aim.service is None or aim.port is None or any(known.ready for known in case.known.values()):
        return
    service, name = aim.service, f"{aim.namespace}/{aim.name}"
    if service.spec.type == "ExternalName":
        return
    if not service.spec.selector:
        yield Problem(
            code="no-endpoints",
            what=f"the Service {name} has no selector and no endpoints",
            remedy=(
                f"give it a selector, or an EndpointSlice labelled kubernetes.io/service-name={aim.name}",
            ),
        )
        return
    chosen = [pod for pod in case.objects.pods if selects(service, pod)]
    if not chosen:
        yield _no_matching_pods(service, name, case.objects.pods)
        return
    unready = [pod for pod in chosen if not is_ready(pod)]
    if len(unready) == len(chosen):
        evidence = [line for pod in unready for line in _why_not_ready(pod, case.events)]
        yield Problem(
            code="not-ready",
            what=f"no Pod of the Service {name} is ready: {len(unready)} of {len(chosen)} are not",
            evidence=tuple(evidence),
            remedy=(
                "mend what the readiness probe complains of: kubectl describe pod"
                f" -n {aim.namespace} {unready[0].metadata.name}",
            ),
        )
        return
    wanted = aim.port.targetPort
    if isinstance(wanted, str) and not any(wanted in _port_names(pod) for pod in chosen):
        names = sorted({each for pod in chosen for each in _port_names(pod)})
        yield Problem(
            code="target-port",
            what=f"the Service's targetPort is {wanted!r}, and no container port has that name",
            evidence=(f"names of container ports in its Pods: {', '.join(names) or 'none'}",),
            remedy=("name the container port so, or set targetPort to a number",),
        )
        return
    yield Problem(
        code="no-endpoints",
        what=f"the Service {name} has ready Pods but no EndpointSlice with them",
        remedy=("see whether the controllers run: clusterip status, or the log of kube-controller-manager",),
    )


def _no_matching_pods(service: Service, name: str, pods: Sequence[Pod]) -> Problem:
    wanted = service.spec.selector
    text = ",".join(f"{key}={value}" for key, value in wanted.items())
    scored = []
    for pod in pods:
        labels = pod.metadata.labels or {}
        same = sum(labels.get(key) == value for key, value in wanted.items())
        alike = sum(1 for key, value in wanted.items() if nearest(value, [labels.get(key, "")]))
        alike += sum(1 for value in wanted.values() if nearest(value, list(labels.values())))
        scored.append((same, alike, pod))
    best = sorted((each for each in scored if each[0] or each[1]), key=lambda each: each[:2], reverse=True)
    found = []
    for _, _, pod in best[:3]:
        has = ",".join(f"{key}={value}" for key, value in (pod.metadata.labels or {}).items())
        found.append(f"Pod {pod.metadata.name} has {has}")
    return Problem(
        code="no-matching-pods",
        what=f"no Pod has the labels that the Service {name} selects: {text}",
        evidence=tuple(found) or (f"its namespace has {len(pods)} Pods, none with labels like these",),
        remedy=("change the Service's spec.selector or the labels of the Pods' template",),
    )


def is_ready(pod: Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions)


def _why_not_ready(pod: Pod, events: Mapping[str, Sequence[Event]]) -> Iterator[str]:
    name = pod.metadata.name
    conditions = {each.type: each for each in pod.status.conditions}
    ready = conditions.get("ContainersReady") or conditions.get("Ready")
    yield f"Pod {name} is {pod.status.phase}: {ready.message if ready and ready.message else 'not ready'}"
    for status in pod.status.containerStatuses:
        if status.state.waiting is not None:
            waiting = status.state.waiting
            yield f"Pod {name}, container {status.name}: {waiting.reason} {waiting.message}".rstrip()
    unhealthy = [event for event in events.get(name, ()) if event.type == "Warning"]
    if unhealthy:
        yield f"Pod {name}: {unhealthy[-1].message.strip()}"


def _port_names(pod: Pod) -> list[str]:
    return [port.name for container in pod.spec.containers for port in container.ports if port.name]


def _wrong_address(case: Case) -> Iterator[Problem]:
    aim, nodes = case.objects.aim, case.objects.nodes
    if aim.via != "node port" or not aim.address:
        return
    all_addresses = {a: node.metadata.name for node in nodes for a in sorted(addresses_of(node))}
    if aim.address not in all_addresses and (node_name := case.on_nodes.get(aim.address)):
        own = next(sorted(addresses_of(node)) for node in nodes if node.metadata.name == node_name)
        ranges = case.objects.config.get("nodePortAddresses") or ["primary"]
        yield Problem(
            code="wrong-address",
            what=f"{aim.address} is on {node_name}, but node ports do not answer on it",
            evidence=(
                f"--nodeport-addresses: {', '.join(ranges)}",
                f"addresses of {node_name} by the API: {', '.join(own)}",
            ),
            remedy=(
                f"connect to {' or '.join(own)}, or add the address's range to the proxy's configuration",
            ),
        )
        return
    if aim.address not in all_addresses:
        listed = ", ".join(f"{name} {address}" for address, name in list(all_addresses.items())[:5])
        yield Problem(
            code="wrong-address",
            what=f"{aim.address} is no node's address, so node port {aim.number} is not there",
            evidence=(f"nodes: {listed}",),
            remedy=("connect to one of these",),
        )
        return
    allowed = case.objects.config.get("nodePortAddresses") or []
    ranges = [ipaddress.ip_network(each, strict=False) for each in allowed if each != "primary"]
    address = ipaddress.ip_address(aim.address)
    if ranges and not any(address in each for each in ranges if each.version == address.version):
        yield Problem(
            code="wrong-address",
            what=f"node ports do not answer on {aim.address}: --nodeport-addresses has {', '.join(allowed)}",
            remedy=("connect to an address in these ranges, or add its range to the proxy's configuration",),
        )


def _computed_end(case: Case) -> Iterator[Problem]:
    row = case.row
    if row is None or row.verdict == "reached" or not any(known.ready for known in case.known.values()):
        return
    if row.owner:
        yield Problem(
            code="wrong-address",
            what=f"{row.address}:{row.port} belongs to another Service's port: {row.owner}",
            remedy=("give one of the two another address or port",),
        )
        return
    remedy = "let an endpoint run on that node, or set the traffic policy to Cluster"
    if row.sourceRanges:
        remedy = "add the client's range to spec.loadBalancerSourceRanges"
    outcome: Outcome = "dropped" if row.verdict == "dropped" else "refused"
    evidence = (f"stopped by {_rule_text(case.ended)}",) if case.ended else ()
    yield Problem(
        code=outcome, what=f"the packet is {row.verdict}: {row.why}", evidence=evidence, remedy=(remedy,)
    )


def _stopped(case: Case) -> Iterator[Problem]:
    rule = case.ended
    if rule is None:
        return
    text = _rule_text(rule)
    if not _is_proxys(rule):
        yield Problem(
            code="dropped",
            what=f"a rule that is none of the proxy's stops the packet on {case.ended_at}",
            evidence=(text,),
            remedy=("let that rule pass this traffic; its table says whose it is",),
        )
    elif case.row is not None and (source := _outside_ranges(case)):
        yield Problem(
            code="dropped",
            what=f"the packet is dropped: {source} is in none of the Service's source ranges",
            evidence=(text, f"spec.loadBalancerSourceRanges: {', '.join(case.row.sourceRanges)}"),
            remedy=("add the client's range to spec.loadBalancerSourceRanges",),
        )
    elif case.row is not None and case.row.verdict == "reached":
        yield Problem(
            code="stale-proxy",
            what=f"the proxy's rules on {case.ended_at} are not what the API says: they stop the packet",
            evidence=(text, f"by the API it should reach {_reached(case.row)}"),
            remedy=_STALE,
        )
    elif case.row is None:
        yield Problem(
            code="no-such-service",
            what=f"no Service has {join(case.objects.aim.address, case.objects.aim.number)}",
            evidence=(text,),
            remedy=("kubectl get services -A shows the addresses that Services have",),
        )


def _outside_ranges(case: Case) -> str:
    """The client's address, if the way it took is for certain ranges and it is in none of them."""
    ranges = case.row.sourceRanges if case.row is not None else ()
    source = case.connection.local[0] if case.connection is not None else ""
    if not ranges or not source:
        return ""
    address = ipaddress.ip_address(source)
    networks = [ipaddress.ip_network(each, strict=False) for each in ranges]
    return "" if any(each.version == address.version and address in each for each in networks) else source


_STALE = (
    "see whether the proxy runs there and reaches the API server: clusterip status, its log, and"
    " http://NODE:10256/healthz",
)


def _stale(case: Case) -> Iterator[Problem]:
    row = case.row
    if row is None or row.verdict != "reached" or not case.is_watched or case.ended is not None:
        return
    if not case.is_translated:
        yield Problem(
            code="stale-proxy",
            what="nothing on the node rewrote the packet's destination: the proxy's rules are not there",
            evidence=(f"by the API it should reach {_reached(row)}",),
            remedy=_STALE,
        )
        return
    wanted = {each.address for each in row.endpoints}
    gone = [each for each in (case.drawn or [case.chosen]) if each and each not in wanted]
    if gone and case.chosen in gone:
        yield Problem(
            code="stale-proxy",
            what=f"the kernel sent the packet to {case.chosen}, which is no endpoint by the API",
            evidence=(f"by the API it should reach {_reached(row)}",),
            remedy=_STALE,
        )


def _endpoint(case: Case) -> Iterator[Problem]:
    connection, aim = case.connection, case.objects.aim
    if connection is None or case.listening is None or not case.chosen:
        return
    address, _, port_text = case.chosen.rpartition(":")
    address, port = address.strip("[]"), int(port_text)
    here = [each for each in case.listening if each.port == port]
    if any(each.takes(address) for each in here):
        return
    known = case.known.get(case.chosen, Known(case.chosen))
    who = f"Pod {known.pod}" if known.pod else f"the endpoint {case.chosen}"
    if here and all(each.is_loopback for each in here):
        yield Problem(
            code="nobody-listens",
            what=f"{who} listens on port {port} of its loopback address only",
            evidence=(f"it listens on {', '.join(join(*each) for each in here)}",),
            remedy=("let the program listen on 0.0.0.0 or [::]",),
        )
        return
    open_ = sorted({each.port for each in case.listening if not each.is_loopback})
    remedy = [f"let the program listen on port {port}"]
    if aim.port is not None and open_:
        remedy.insert(0, f"set the Service's targetPort to {' or '.join(map(str, open_[:3]))}")
    yield Problem(
        code="nobody-listens",
        what=f"nobody listens on port {port} in {who}",
        evidence=(f"open {aim.protocol} ports there: {', '.join(map(str, open_)) or 'none'}",),
        remedy=tuple(remedy),
    )


def _answer_stopped(case: Case) -> Iterator[Problem]:
    if case.lost is None:
        return
    place, rule = case.lost
    remedy = "let that rule pass this traffic; its table says whose it is"
    why = ""
    if _is_proxys(rule):
        why = ": it came by another way than the packet went, so nothing there could translate it back"
        remedy = (
            "let answers come back by the node that translated: connect to a node with an endpoint, or set"
            " the traffic policy to Cluster"
        )
    yield Problem(
        code="dropped",
        what=f"the answer is dropped on {place.removeprefix('node/')}{why}",
        evidence=(_rule_text(rule),),
        remedy=(remedy,),
    )


def _other(case: Case) -> Iterator[Problem]:
    connection = case.connection
    if connection is None:
        return
    codes: dict[str, Outcome] = {
        "refused": "refused",
        "reset": "refused",
        "unreachable": "no-route",
        "forbidden": "dropped",
    }
    code = codes.get(connection.result, "timeout")
    text = {
        "refused": "the connection was refused",
        "no-route": "there is no route to the address",
        "dropped": "the client's own machine forbids the connection",
        "timeout": "no answer came",
    }[code]
    where = f" from {case.chosen}" if case.chosen else ""
    yield Problem(
        code=code,
        what=text + where,
        evidence=(connection.error,) if connection.error else (),
        remedy=("the last place in the story where the packet was seen is where to look further",),
    )


_CHECKS = (
    _no_such_service,
    _no_such_port,
    _dns,
    _wrong_address,
    _no_endpoints,
    _computed_end,
    _stopped,
    _stale,
    _endpoint,
    _answer_stopped,
)
"""In the order in which a connection comes to them."""


def _is_proxys(rule: Rule) -> bool:
    return rule.table in _PROXY_TABLES or rule.chain.startswith(("KUBE-", "CLUSTERIP"))


def _rule_text(rule: Rule | None) -> str:
    if rule is None:
        return ""
    found = "".join(f", which found {element}" for element in rule.elements)
    return f"{rule.family} {rule.table} {rule.chain}: {rule.text or f'rule with handle {rule.handle}'}{found}"


def _reached(row: Row) -> str:
    return ", ".join(each.address for each in row.endpoints[:5]) or "nothing"
