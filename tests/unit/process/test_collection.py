"""What has lasted is walked seldom, and garbage among it still goes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from clusterip.process.collection import WHOLE_SECONDS, Collector


class Ring:
    """Garbage that only a collection finds, once nobody has it any more."""

    def __init__(self) -> None:
        self.itself = self


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    gc.disable()
    gc.collect()
    gc.freeze()
    clock = Clock()
    collector = Collector(long=0.0, few=1000, clock=clock)
    collector.start()
    yield clock
    collector.stop()
    gc.enable()
    gc.unfreeze()
    gc.collect()


def test_what_survives_is_set_aside(clock: Clock) -> None:
    kept = [Ring() for _ in range(100)]
    gc.collect()
    assert gc.get_freeze_count() > 100
    gone = weakref.ref(Ring())
    gc.collect()
    assert gone() is None, "what is new since is collected as ever"
    assert kept


def test_garbage_among_it_goes_when_it_has_doubled(clock: Clock) -> None:
    kept = [Ring()]
    gc.collect()
    gone = weakref.ref(kept.pop())
    gc.collect()
    assert gone() is not None
    kept += [Ring() for _ in range(3 * gc.get_freeze_count())]
    gc.collect()  # sets them aside
    gc.collect()
    assert gone() is None


def test_garbage_among_much_goes_after_a_while(clock: Clock) -> None:
    kept = [Ring() for _ in range(1000)]
    gc.collect()
    gone = weakref.ref(kept.pop())
    gc.collect()
    assert gone() is not None
    clock.now += WHOLE_SECONDS
    gc.collect()
    assert gone() is None


def test_of_little_nothing_is_walked_again(clock: Clock) -> None:
    """What a process shares with the one it was forked from would be copied by that."""
    gc.collect()
    aside = gc.get_freeze_count()
    clock.now += WHOLE_SECONDS
    gc.collect()
    assert gc.get_freeze_count() >= aside
