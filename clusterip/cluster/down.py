"""``clusterip down``: the machine as it was before, whatever state the cluster is in."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

from clusterip.cluster import leftovers, machine, processes
from clusterip.cluster.journal import Journal
from clusterip.cluster.paths import Paths
from clusterip.cluster.steps import Step, Workspace

_REAP_SECONDS = 2.0


@dataclass
class Result:
    """What was there to remove. ``problems`` is what could not be, in words for a person."""

    found: bool = False
    problems: list[str] = field(default_factory=list)


def down(paths: Paths, *, keep_state: bool, report: Callable[[str], None]) -> Result:
    """Stop a cluster and remove what it made. Harmless if there is none, or only pieces of one.

    Args:
        keep_state: keep the database, certificates and images, so that `up` goes on with them.
    Raises:
        ClusterError: not root, or another up or down is at work.
    """
    machine.require_root()
    result = Result(found=paths.run.exists() or paths.state.exists())
    if not result.found:
        return result
    with machine.exclusive(paths.lock):
        paths.stopping.touch()
        running = processes.read(paths.processes).alive
        _end_parts(paths)
        pods = _remove_pods(paths, result)
        _end_guardian(paths)
        if running:
            report(f"stopped {len(running)} processes")
        if pods:
            report(f"removed {pods} Pods")
        _undo(paths, result, report)
        if result.problems:
            return result  # what is left is to be found again by the next attempt
        shutil.rmtree(paths.nodes, ignore_errors=True)
        if not keep_state:
            shutil.rmtree(paths.state, ignore_errors=True)
            shutil.rmtree(paths.logs, ignore_errors=True)
        shutil.rmtree(paths.run, ignore_errors=True)
        if paths.base is not None and not keep_state:
            with contextlib.suppress(OSError):
                paths.base.rmdir()
    return result


def _end_parts(paths: Paths) -> None:
    """End the supervisor, which the guardian does not replace any more, and the parts."""
    while (supervisor := processes.read(paths.processes).supervisor) and supervisor.is_alive:
        processes.end([supervisor])
    processes.end(part.process for part in processes.read(paths.processes).parts.values())


def _end_guardian(paths: Paths) -> None:
    """The guardian ends by itself once it has reaped everything; then nothing of ours is left."""
    alive = processes.read(paths.processes).alive
    processes.wait(alive, seconds=_REAP_SECONDS)
    processes.end(alive)


def _remove_pods(paths: Paths, result: Result) -> int:
    try:
        return leftovers.remove_pods(paths)
    except OSError as error:
        result.problems.append(f"Pods: {error}")
        return 0


def _undo(paths: Paths, result: Result, report: Callable[[str], None]) -> None:
    def on_error(step: Step, error: Exception) -> None:
        result.problems.append(f"{step}: {error}")

    journal = Journal(paths.journal)
    if journal.entries():
        with Workspace() as workspace:
            journal.undo(workspace, on_error)
        report("removed its networks, routes and rules")
