"""From options to running processes: node-local addresses, then one process or several."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from clusterip import process
from clusterip.dns.loop import LoopProbe
from clusterip.dns.main import Worker, main
from clusterip.dns.options import Options
from clusterip.dns.workers import Board, run_workers
from clusterip.process import Fatal, log

_log = log.get("dns")


def serve(options: Options) -> int:
    """Serve DNS until SIGTERM or SIGINT; the exit code."""
    if not options.local_interface:
        return _serve(options)
    from clusterip.dns.nodelocal import addresses_on

    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(addresses_on(options.local_interface, options.bind))
        except (Fatal, ValueError) as error:
            _log.error(str(error))
            return 1
        return _serve(options)


def _serve(options: Options) -> int:
    if options.workers == 1:
        return process.run(lambda: main(options))
    board = Board(options.workers)
    probe = LoopProbe()  # one for all: it may come back to another worker than the one that sent it
    quiet = replace(options, healthz_bind_address="0", metrics_bind_address="0")

    def run(index: int) -> int:
        worker = Worker(index, board, probe)
        return process.run(lambda: main(quiet if index else options, worker))

    return run_workers(options.workers, run)
