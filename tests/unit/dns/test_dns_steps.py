"""Large Services are worked out in short steps."""

from __future__ import annotations

from dns_objects import ask, endpoint, endpoint_slice, responder_of, service

from clusterip.dns.records import Records, records_in_steps, records_of
from clusterip.dns.steps import STEP, done
from clusterip.dns.wire import EndpointSlice
from clusterip.dns.zone import Zone

NAME = "big.testns.svc.cluster.local."


def slices(count: int, first: int = 0) -> list[EndpointSlice]:
    return [
        endpoint_slice(
            *(endpoint(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(start, start + 100)),
            ports=[("http", 80)],
        )
        for start in range(first, first + count, 100)
    ]


def test_ten_thousand_endpoints_are_worked_on_in_small_steps() -> None:
    zone = Zone("cluster.local", 5)
    zone.put("big", records_of(service("big", "None"), slices(10_000), zone.domain))
    steps = records_in_steps(service("big", "None"), slices(10_000, 100), zone.domain)
    count = 0
    records = Records()
    for build in (True, False):
        if not build:
            steps = zone.put_in_steps("big", records)  # type: ignore[assignment]
        while True:
            try:
                next(steps)
            except StopIteration as end:
                records = end.value if build else records
                break
            finally:
                count += 1
    assert count >= 2 * 10_000 // STEP  # none works on more than so many names
    assert zone.find(zone.domain) is not None


async def test_answers_in_between_are_whole_and_right_in_the_end() -> None:
    zone = Zone("cluster.local", 5)
    zone.synced = True
    responder = responder_of(zone)
    big = service("big", "None")
    zone.put("big", records_of(big, slices(1000), zone.domain))
    for _ in zone.put_in_steps("big", records_of(big, slices(1000, 500), zone.domain)):
        assert len(ask(responder, NAME, tcp=True).answer[0]) == 1000
    found = ask(responder, NAME, tcp=True).answer[0]
    assert {record.to_text() for record in found} == {f"10.0.{n >> 8}.{n & 255}" for n in range(500, 1500)}
    done(zone.put_in_steps("big", Records()))
    assert not ask(responder, NAME).answer
    assert not zone._reverse
