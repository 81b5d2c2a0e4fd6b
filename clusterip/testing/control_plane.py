"""An API server, with controllers or without, on this machine's loopback: it needs no rights at all."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from clusterip.cli.main import load, main
from clusterip.cluster import health, zygote
from clusterip.cluster import plan as plans
from clusterip.cluster.certificates import Certificates, wanted
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.kubeconfigs import write_all
from clusterip.cluster.paths import Paths
from clusterip.cluster.plan import Program, Socket
from clusterip.cluster.zygote import CommandLine
from clusterip.process.sockets import listen_tcp
from clusterip.testing.shape import Shape

_READY_SECONDS = 60.0
_RETRY_SECONDS = 0.01
_ASK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_LOOPBACK = IPv4Network("127.0.0.0/29")


def start(shape: Shape, paths: Paths, pids: list[int]) -> ClusterConfig:
    """Start a control plane; returns once it is ready. ``pids`` gets its processes, which end with this one.

    Raises:
        ClusterError: it did not become ready; the text has the end of the log.
    """
    api, controllers = listen_tcp("127.0.0.1:0"), listen_tcp("127.0.0.1:0")
    config = ClusterConfig(name="test", nodes=0, subnet=_LOOPBACK, api_port=api.getsockname()[1])
    paths.make()
    certificates = Certificates(paths.pki)
    certificates.ensure(wanted(config))
    write_all(config, paths, certificates)
    of_apiserver, of_controllers = plans.plan(config, paths, verbosity=0, loopback=False).programs
    wanted_parts = [(_apiserver(of_apiserver, shape), api)]
    if shape.level != "api":
        wanted_parts.append((_controllers(of_controllers, controllers), controllers))
    for program, held in wanted_parts:
        pids.append(_fork(program, held, [api, controllers]))
    programs = [program for program, _ in wanted_parts]
    _await(config, certificates, programs, pids)
    return config


def _apiserver(program: Program, shape: Shape) -> Program:
    more = list(shape.apiserver)
    if shape.level == "api" and not any("-admission-plugins" in argument for argument in more):
        # Nobody makes the accounts that Pods would have to have.
        more += ["--enable-admission-plugins=NodeRestriction", "--disable-admission-plugins=ServiceAccount"]
    given = {argument.partition("=")[0] for argument in more}
    kept = [argument for argument in program.arguments if argument.partition("=")[0] not in given]
    return msgspec.structs.replace(program, arguments=(*kept, *more))


def _controllers(program: Program, listener: socket.socket) -> Program:
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    kept = [each for each in program.arguments if not each.startswith("--healthz-bind-address=")]
    return msgspec.structs.replace(
        program,
        arguments=(*kept, f"--healthz-bind-address={address}"),
        sockets=(Socket("tcp", address),),
        health=f"http://{address}/readyz",
    )


def _fork(program: Program, held: socket.socket, listeners: Sequence[socket.socket]) -> int:
    commands = CommandLine(load, lambda arguments: main(args=list(arguments), prog_name="clusterip"))
    zygote.preload(program.command, commands)
    keeper = os.getpid()
    pid = zygote.fork(lambda pid: None)
    if pid == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(1)
        others = [each.fileno() for each in listeners if each is not held]
        zygote.run_child(lambda: zygote.become(program, commands, [held], others))
    return pid


def _await(
    config: ClusterConfig, certificates: Certificates, programs: Sequence[Program], pids: Sequence[int]
) -> None:
    """Return once all parts are ready. Raises ClusterError if one ends, or that takes too long."""
    admin = certificates.pair("admin")
    context = ssl.create_default_context(cafile=str(certificates.authority.certificate))
    context.load_cert_chain(admin.certificate, admin.key)
    deadline = time.monotonic() + _READY_SECONDS
    for program, pid in zip(programs, pids, strict=True):
        while not _is_ready(program, context):
            if os.waitpid(pid, os.WNOHANG)[0]:
                raise ClusterError(f"the {program.name} ended:\n{_end_of(Path(program.log))}")
            if time.monotonic() > deadline:
                raise ClusterError(f"the {program.name} is not ready:\n{_end_of(Path(program.log))}")
            time.sleep(_RETRY_SECONDS)


def _is_ready(program: Program, context: ssl.SSLContext) -> bool:
    if not program.health.startswith("https:"):
        return asyncio.run(health.problem(program.health)) is None
    try:
        # It waits in the socket that we hold; not for ever, as nobody may come to answer it.
        with urllib.request.urlopen(program.health, timeout=_ASK_SECONDS, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _end_of(log: Path, lines: int = 5) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "it wrote no log"
