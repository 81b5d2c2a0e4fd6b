"""From options to running processes: node-local addresses, then one process or several."""

from __future__ import annotations

import contextlib

from clusterip import process
from clusterip.dns.board import Board
from clusterip.dns.config.source import BadConfig
from clusterip.dns.listeners import by_address
from clusterip.dns.loop import LoopProbe
from clusterip.dns.main import configuration, main
from clusterip.dns.options import Options
from clusterip.dns.worker import Worker
from clusterip.dns.workers import run_workers
from clusterip.process import Fatal, log

_log = log.get("dns")


def serve(options: Options) -> int:
    """Serve DNS until SIGTERM or SIGINT; the exit code."""
    if not options.local_interface:
        return _serve(options)
    from clusterip.dns.nodelocal import addresses_on

    with contextlib.ExitStack() as stack:
        try:
            binds = by_address(configuration(options).servers)
            stack.enter_context(addresses_on(options.local_interface, binds))
        except (BadConfig, Fatal, ValueError) as error:
            _log.error(str(error))
            return 1
        return _serve(options)


def _serve(options: Options) -> int:
    if options.workers == 1:
        return process.run(lambda: main(options))
    board = Board(options.workers)
    shared = Worker(board=board, probe=LoopProbe(shared=True))

    def run(index: int) -> int:
        board.forget(index)
        worker = Worker(index, board, shared.probe)
        return process.run(lambda: main(options, worker))

    return run_workers(options.workers, run)
