"""Running a part: an event loop, signals, an exit code."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from clusterip.process import log

_log = log.get("process")


class Fatal(Exception):
    """A part cannot go on, for a reason that its message explains to a person; no traceback needed."""


def run(main: Callable[[], Coroutine[Any, Any, int | None]]) -> int:
    """Run ``main()`` on uvloop until it returns or SIGTERM or SIGINT arrives; the exit code.

    The first signal cancels the task once, so its ``finally`` blocks can clean up; another SIGTERM is
    ignored (a terminal's Ctrl-C and a supervisor's SIGTERM often arrive together), another SIGINT
    ends the process at once with 130. The code is 0 after a signal, else what ``main`` returned, or
    1 after an exception, which is logged.
    """
    import uvloop  # not needed by those who only import Fatal

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_until_signal(main))
        except Exception as error:  # noqa: BLE001 - the outermost frame: all that can be done is say it
            _report(error)
            return 1


async def _until_signal(main: Callable[[], Coroutine[Any, Any, int | None]]) -> int:
    loop = asyncio.get_running_loop()
    task = loop.create_task(main())
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not received:
            _log.debug("stopping", signal=number.name)
            task.cancel()
        elif number == signal.SIGINT and signal.SIGINT in received:
            os._exit(128 + signal.SIGINT)
        received.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task or 0
    except asyncio.CancelledError:
        if received:
            return 0
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _report(error: BaseException) -> None:
    """Log why the part ended; members of an exception group one by one."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            _report(member)
    elif isinstance(error, Fatal):
        _log.error(str(error))
    elif isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
        _log.error(error.strerror or str(error))
    else:
        try:
            raise error
        except BaseException:  # noqa: BLE001 - raised one line above, to have it logged
            _log.exception("unexpected error")
