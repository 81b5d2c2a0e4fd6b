"""``clusterip down``: the machine as it was before, whatever state the cluster is in."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

from clusterip.cluster import leftovers, machine, processes
from clusterip.cluster.journal import Journal
from clusterip.cluster.paths import Paths
from clusterip.cluster.processes import Process
from clusterip.cluster.steps import Step, Workspace


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
        _end_processes(paths, report)
        _remove_pods(paths, result, report)
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


def _end_processes(paths: Paths, report: Callable[[str], None]) -> None:
    """End the two supervisors, neither of which may start the other again, then the parts."""
    count = 0
    while True:
        records = processes.read(paths.processes)
        halves = [half for half in (records.guardian, records.supervisor) if half and half.is_alive]
        if not halves:
            break
        count += len(halves)
        processes.end(halves)
    parts: list[Process] = [part.process for part in records.parts.values() if part.process.is_alive]
    processes.end(parts)
    if count + len(parts):
        report(f"stopped {count + len(parts)} processes")


def _remove_pods(paths: Paths, result: Result, report: Callable[[str], None]) -> None:
    try:
        count = leftovers.remove_pods(paths)
    except OSError as error:
        result.problems.append(f"Pods: {error}")
    else:
        if count:
            report(f"removed {count} Pods")


def _undo(paths: Paths, result: Result, report: Callable[[str], None]) -> None:
    def on_error(step: Step, error: Exception) -> None:
        result.problems.append(f"{step}: {error}")

    journal = Journal(paths.journal)
    if journal.entries():
        with Workspace() as workspace:
            journal.undo(workspace, on_error)
        report("removed its networks, routes and rules")
