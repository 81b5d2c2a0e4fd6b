"""Work queues: never twice at once, never forgotten."""

from __future__ import annotations

import asyncio

from clusterip.client.workqueue import WorkQueue


async def test_a_waiting_key_is_worked_on_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("b")
    queue.add("a")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_added_while_worked_on_comes_again_only_after() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0, "the key is being worked on"
    queue.done("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_get_waits_for_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    waiters = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    async with asyncio.timeout(1):
        assert sorted(await asyncio.gather(*waiters)) == ["a", "b"]


async def test_the_shortest_delay_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    async with asyncio.timeout(1):
        assert await queue.get() == "a"


async def test_failures_wait_longer_each_time_until_forgotten() -> None:
    queue: WorkQueue[str] = WorkQueue(base=0.01, limit=0.05)
    assert [queue.add_rate_limited("a") for _ in range(5)] == [0.01, 0.02, 0.04, 0.05, 0.05]
    assert queue.failures("a") == 5
    queue.forget("a")
    assert queue.add_rate_limited("a") == 0.01
    queue.close()
