"""Figures: counted by the answers that were sent, and added up over workers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable

import dns.message
from dns_objects import put, responder_of, service
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from clusterip.dns.board import Board, SummedCollector
from clusterip.dns.counters import Counters
from clusterip.dns.names import to_wire
from clusterip.dns.zone import Zone

NAME = "svc1.testns.svc.cluster.local."


def packet(name: str, type_: str = "A", *, edns: bool = False, dnssec: bool = False) -> bytes:
    query = dns.message.make_query(name, type_, use_edns=0 if edns else -1, want_dnssec=dnssec)
    return query.to_wire()


async def test_an_answer_tells_all_that_is_counted() -> None:
    zone = Zone("cluster.local", 5)
    put(zone, service("svc1", "10.0.0.1"))
    zone.synced = True
    responder = responder_of(zone)
    counters = Counters("dns://:53", [to_wire("cluster.local"), to_wire("svc.cluster.local")])
    cases = [
        (packet(NAME), "A", 0),
        (packet(NAME, edns=True), "A", 0),
        (packet(NAME, "AAAA", edns=True, dnssec=True), "AAAA", 0),
        (packet("nope.cluster.local.", "SRV"), "SRV", 3),
    ]
    tally = counters.tally("udp", 1)
    for query, _, _ in cases:
        responder.respond(query, lambda answer, **_: None)
        kept = responder.kept(query)
        assert kept is not None
        for _ in range(3):
            tally[kept] = tally.get(kept, 0) + 1
    assert (counters.udp, counters.tcp) == (12, 0)
    by_type = {request.type: count for request, count in counters.requests.items()}
    assert by_type == {1: 6, 28: 3, 33: 3}
    zones = {request.zone for request in counters.requests}
    assert zones == {to_wire("svc.cluster.local"), to_wire("cluster.local")}
    assert counters.rcodes[:4] == [9, 0, 0, 3]
    assert sum(counters.dnssec.values()) == 3
    sizes = [each for (_, proto), each in counters.request_sizes.items() if proto == "udp"]
    assert sum(each.sum for each in sizes) == 3 * sum(len(query) for query, _, _ in cases)
    assert not tally  # read and forgotten
    assert counters.udp == 12
    await responder.close()


async def test_questions_for_no_zone_and_answers_without_a_question() -> None:
    counters = Counters("dns://:53", [to_wire("a.test")])
    counters.answered(packet("b.test."), "tcp", 2, 30, 0.1)
    counters.answered(b"\1\2\x80\1" + bytes(8), "udp", 1, 12, 0.0)
    assert {(request.zone, request.proto) for request in counters.requests} == {(b"", "tcp"), (b"", "udp")}
    assert counters.rcodes[1] == 1


class _Fixed:
    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def figures(queries: int, services: int, entries: int) -> list[Metric]:
    counter = CounterMetricFamily("coredns_dns_requests", "q", labels=["proto"])
    counter.add_metric(["udp"], queries)
    known = GaugeMetricFamily("clusterip_dns_services", "s", value=services)
    cached = GaugeMetricFamily("coredns_cache_entries", "e", labels=["type"])
    cached.add_metric(["success"], entries)
    return [counter, known, cached]


def _other(board: Board) -> None:
    board.publish(1, figures(5, 7, 11), synced=True)


def test_workers_add_up() -> None:
    board = Board(2)
    process = multiprocessing.get_context("fork").Process(target=_other, args=(board,))
    process.start()
    process.join(10)
    assert process.exitcode == 0
    assert board.synced(0)
    summed = SummedCollector(_Fixed(*figures(100, 7, 1)), board, 0)
    found = {sample.name: sample.value for metric in summed.collect() for sample in metric.samples}
    assert found == {
        "coredns_dns_requests_total": 105,
        "clusterip_dns_services": 7,
        "coredns_cache_entries": 12,
    }
    board.forget(1)
    assert not board.synced(0)
    assert list(board.figures(0)) == [[]]
