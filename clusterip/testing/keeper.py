"""Owns a cluster for tests: ``python -m clusterip.testing.keeper SHAPE``.

It prints what there is to know of the cluster as a line of JSON once that is ready. When its standard input
ends, the cluster does: so it does not outlive the tests, even if they are killed. Should the keeper itself
be killed, the kernel ends the parts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from clusterip.cluster.errors import ClusterError
from clusterip.cluster.paths import Paths
from clusterip.testing.shape import Shape

_NAME = "test"


def main() -> None:
    """Keep one cluster until nobody wants it any more."""
    shape = Shape.decode(sys.argv[1])
    os.environ.pop("KUBECONFIG", None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    directory = Path(tempfile.mkdtemp(prefix="clusterip-test-"))
    paths = Paths.of(_NAME, str(directory))
    kept = _Nodes(shape, paths) if shape.level == "nodes" else _ControlPlane(shape, paths)
    try:
        about = kept.start()
        about |= {
            "directory": str(directory),
            "kubeconfig": str(paths.admin_kubeconfig),
            "authority": str(paths.pki / "ca.crt"),
            "certificate": str(paths.pki / "admin.crt"),
            "key": str(paths.pki / "admin.key"),
            "logs": str(paths.logs),
        }
        _say(about)
        _quieten(directory / "keeper.log")
        select.select([0], [], [])  # nothing is ever written to it
    except ClusterError as error:
        _say({"error": str(error)})
    finally:
        kept.stop()


class _ControlPlane:
    """Processes of this machine."""

    def __init__(self, shape: Shape, paths: Paths) -> None:
        self._shape = shape
        self._paths = paths
        self._pids: list[int] = []

    def start(self) -> dict[str, Any]:
        from clusterip.testing import control_plane

        config = control_plane.start(self._shape, self._paths, self._pids)
        return {"server": config.api_url}

    def stop(self) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        _remove(self._paths)


class _Nodes:
    """A machine within the machine."""

    def __init__(self, shape: Shape, paths: Paths) -> None:
        self._shape = shape
        self._paths = paths

    def start(self) -> dict[str, Any]:
        from clusterip.cluster import config as configs
        from clusterip.cluster import isolation, places
        from clusterip.cluster.up import Request, up
        from clusterip.testing import dialer

        ours, its = os.pipe()  # the machine ends when nobody holds `its` any more
        request = Request(
            name=_NAME, nodes=self._shape.nodes, proxy_mode=self._shape.proxy_mode, isolated=True
        )

        def work(machine: isolation.Machine) -> None:
            up(dataclasses.replace(request, api_port=machine.port), self._paths, lambda line: None)

        self._paths.make()
        listener = dialer.listen(self._paths.run / "dial")
        if places.start(self._paths, work, lifeline=ours, usual_port=False) != 0:
            raise ClusterError("the cluster did not start; what was wrong is said above")
        os.close(ours)
        config = configs.decode(self._paths.config.read_bytes())
        machine = isolation.find(self._paths)
        assert machine is not None
        if os.fork() == 0:
            os.close(its)
            os.close(0)
            code = isolation.run_in(machine, lambda: dialer.serve(listener, config, self._paths.run))
            os._exit(code)
        listener.close()
        return {
            "server": config.outer_api_url,
            "dial": str(self._paths.run / "dial"),
            "name": _NAME,
        }

    def stop(self) -> None:
        from clusterip.cluster import isolation, places

        machine = isolation.find(self._paths)
        if machine is not None:
            isolation.remove(self._paths, machine)
        _remove(self._paths)
        if self._paths.base is not None and self._paths.base.exists():
            # Files of users that only a machine has.
            places.with_users(self._paths, lambda: shutil.rmtree(self._paths.nodes, ignore_errors=True))
            _remove(self._paths)


def _remove(paths: Paths) -> None:
    assert paths.base is not None
    shutil.rmtree(paths.base, ignore_errors=True)


def _say(about: dict[str, Any]) -> None:
    print(json.dumps(about), flush=True)


def _quieten(log: Path) -> None:
    """From now on write to a file: nobody reads what we print any more."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


if __name__ == "__main__":
    main()
