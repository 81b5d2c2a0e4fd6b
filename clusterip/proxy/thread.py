"""Work that blocks, for data planes that talk to the kernel through other programs or in many small steps."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from clusterip.kernel import namespaces

T = TypeVar("T")


class NamespaceThread:
    """One thread in the network namespace that this is made in; programs it starts are in there as well."""

    def __init__(self, name: str) -> None:
        descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._executor = ThreadPoolExecutor(1, name)
        try:
            self._executor.submit(namespaces.join, descriptor).result()
        finally:
            os.close(descriptor)

    async def run(self, function: Callable[[], T]) -> T:
        """Run it after all that was given before. What has begun ends, even if the caller is cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self._executor.submit(function)))

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Take no more; what has begun ends on its own, and then ``last`` is done."""
        if last is not None:
            self._executor.submit(last)
        self._executor.shutdown(wait=False, cancel_futures=last is None)
