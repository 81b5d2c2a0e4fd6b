"""A supervisor whose parts are tiny servers that answer with their PID; run by test_supervisor.py.

usage: supervised.py PLAN LOG
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from clusterip.cluster.supervisor import serve
from clusterip.cluster.zygote import CommandLine
from clusterip.process.sockets import listen_tcp


def run(arguments: Sequence[str]) -> None:
    _command, address, *rest = arguments
    if "fail" in rest:
        sys.exit(3)
    listening = listen_tcp(address)
    listening.setblocking(True)
    while True:
        connection, _peer = listening.accept()
        with connection:
            connection.sendall(str(os.getpid()).encode())


serve(Path(sys.argv[1]), Path(sys.argv[2]), CommandLine(lambda _command: None, run))
