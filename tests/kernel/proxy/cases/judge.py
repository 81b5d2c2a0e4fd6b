"""Tries what a case says and tells where it is not so."""

from __future__ import annotations

import asyncio

from proxy_network import Refused, Silent

from tests.kernel.proxy.cases.bed import Bed
from tests.kernel.proxy.cases.model import Case, Client, Dial, Result, Seen
from tests.kernel.proxy.cases.place import Place

_ANSWER_SECONDS = 20.0
"""How long to wait for what must come: long, so that a busy machine does not fail a test."""
_SILENCE_SECONDS = 0.4
"""How long to wait for what must not come. Too short could hide a failure, never invent one."""


async def judge(case: Case, bed: Bed, place: Place) -> None:
    """Fail with all that is not as the case says."""
    await bed.start(**case.options)  # type: ignore[arg-type]
    if case.script is not None:
        await case.script(bed, place)
        return
    assert case.steps is not None
    for number, step in enumerate(case.steps(place), 1):
        if gone := tuple(step.gone):
            await bed.delete(*gone)
        if given := tuple(step.given):
            await bed.apply(*given)
        await check(bed, place, *step.dials, where=f"step {number}: ")


async def check(bed: Bed, place: Place, *dials: Dial, where: str = "") -> None:
    """Fail if anything of these is not so."""
    wrong = await asyncio.gather(*(_try(bed, place, dial) for dial in dials))
    assert not any(wrong), where + "; ".join(filter(None, wrong))


async def _try(bed: Bed, place: Place, dial: Dial) -> str:
    """What is wrong with a dial; empty if nothing is."""
    # With N endpoints each is missed by 20 N fair draws once in 500 million.
    times = max(4, 20 * len(dial.by)) if len(dial.by) > 1 else 4
    seconds = _SILENCE_SECONDS if dial.result is Result.SILENCE else _ANSWER_SECONDS
    if place.protocol == "SCTP" and dial.result is Result.ANSWER:
        # One after another, because every raw socket of a machine gets everybody's answers.
        outcomes = [await _connect(bed, dial, seconds) for _ in range(times)]
    else:
        outcomes = await asyncio.gather(*(_connect(bed, dial, seconds) for _ in range(times)))
    text = f"{dial.client.name} to {dial.address} port {dial.port}"
    results = {result for result, _, _ in outcomes}
    if results != {dial.result}:
        return f"{text} should be {dial.result.value}, is {' and '.join(r.value for r in results)}"
    if dial.result is not Result.ANSWER:
        return ""
    by = {name for _, name, _ in outcomes}
    if by != dial.by:
        return f"{text} should reach {sorted(dial.by)}, reaches {sorted(by)}"
    seen = {peer for _, _, peer in outcomes}
    own = _address_of(dial.client, place)
    if dial.seen is Seen.ITSELF and seen != {own}:
        return f"{text} should be seen as {own}, is as {sorted(seen)}"
    if dial.seen is Seen.MASKED and own in seen:
        return f"{text} should not be seen as {own}"
    return ""


async def _connect(bed: Bed, dial: Dial, seconds: float) -> tuple[Result, str, str]:
    try:
        return Result.ANSWER, *await bed.ask(dial.client.value, dial.address, dial.port, seconds=seconds)
    except Refused:
        return Result.REFUSED, "", ""
    except Silent:
        return Result.SILENCE, "", ""


def _address_of(client: Client, place: Place) -> str:
    if client is Client.OUTSIDE:
        return place.outside
    return place.node if client is Client.NODE else place.pod(client.value)
