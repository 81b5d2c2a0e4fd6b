"""Lifecycle hooks: ``postStart`` and ``preStop``."""

from __future__ import annotations

import asyncio

from clusterip.node.pods import checks
from clusterip.node.runtime.container import Container
from clusterip.objects.core.containers import Container as ContainerSpec
from clusterip.objects.core.containers import LifecycleHandler

_HTTP_SECONDS = 30.0


class HookFailed(Exception):
    """A hook did not do its work; the message is what Events show."""


async def run_hook(
    runtime: checks.Runtime,
    container: Container,
    spec: ContainerSpec,
    hook: LifecycleHandler,
    host: str,
    seconds: float | None,
) -> None:
    """Run a hook to its end, for at most ``seconds`` (None: as long as it takes).

    Raises:
        HookFailed: it failed, or the time was not enough.
    """
    try:
        if hook.exec:
            # Without an end a hook that hangs would keep the Pod for ever; a day is as good as none.
            await checks.run_command(runtime, container, hook.exec, seconds or 86400.0)
        elif hook.httpGet:
            await checks.get(hook.httpGet, spec, host, seconds or _HTTP_SECONDS)
        elif hook.sleep:
            await asyncio.wait_for(asyncio.sleep(hook.sleep.seconds), seconds)
        elif hook.tcpSocket:
            raise HookFailed("tcpSocket is not supported in lifecycle hooks")
    except (checks.CheckFailed, checks.CheckErrored) as error:
        what = (
            f"Exec lifecycle hook ([{' '.join(hook.exec.command)}])" if hook.exec else "HTTP lifecycle hook"
        )
        why = str(error).strip() or "the command did not exit with 0"
        raise HookFailed(f'{what} for Container "{spec.name}" failed - error: {why}') from error
    except TimeoutError:
        raise HookFailed(f"the hook was not done after {seconds:g}s") from None
