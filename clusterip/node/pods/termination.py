"""Ending containers: preStop hook, the stop signal, a grace period, then SIGKILL."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.hooks import HookFailed, run_hook
from clusterip.node.pods.slot import Slot
from clusterip.node.runtime.container import Container
from clusterip.objects.core.containers import LifecycleHandler
from clusterip.objects.core.pod import Pod

_MINIMUM_SECONDS = 2.0  # what a container gets after its hook, even if the hook used up its grace


class Deadline:
    """When patience ends; it may come nearer while somebody waits, never go further off."""

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds
        self._changed = asyncio.Event()

    @property
    def left(self) -> float:
        return max(0.0, self.at - time.monotonic())

    def shorten(self, seconds: float) -> None:
        """Let it be over in ``seconds`` at the latest."""
        at = time.monotonic() + seconds
        if at < self.at:
            self.at = at
            self._changed.set()
            self._changed = asyncio.Event()

    async def wait_for(self, container: Container) -> bool:
        """Wait for a container's end; False if the deadline comes first."""
        while not container.exited.done():
            left = self.left
            if left <= 0:
                return False
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait(
                    (container.exited, changed), timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                changed.cancel()
        return True


async def stop(
    context: NodeContext, pod: Pod, slot: Slot, deadline: Deadline, message: str, host: str
) -> None:
    """End a slot's container, and return when it has ended."""
    container = slot.container
    if container is None or container.exit is not None:
        return
    await container.begun()
    if not container.running:
        return
    context.event(pod, "Normal", "Killing", message, container=slot.name)
    hook = slot.spec.lifecycle.preStop if slot.spec.lifecycle else None
    if hook is not None and deadline.left > 0:
        try:
            await _hook_or_end(context, container, slot, hook, host, deadline)
        except HookFailed:
            context.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container=slot.name)
        if deadline.left < _MINIMUM_SECONDS:
            deadline = Deadline(_MINIMUM_SECONDS)
    container.kill(signal_of(container.record.stop_signal))
    if not await deadline.wait_for(container):
        container.kill(signal.SIGKILL)
        await asyncio.shield(container.exited)


async def _hook_or_end(
    context: NodeContext,
    container: Container,
    slot: Slot,
    hook: LifecycleHandler,
    host: str,
    deadline: Deadline,
) -> None:
    running = asyncio.ensure_future(
        run_hook(context.runtime, container, slot.spec, hook, host, max(deadline.left, 0.001))
    )
    try:
        await asyncio.wait((running, container.exited), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, HookFailed):
            await running


def signal_of(name: str) -> signal.Signals:
    """A signal by name or number, as images write it (``SIGQUIT``, ``QUIT``, ``3``)."""
    text = name.upper()
    if text.isdigit():
        return signal.Signals(int(text))
    full = text if text.startswith("SIG") else f"SIG{text}"
    return signal.Signals.__members__.get(full, signal.SIGTERM)
