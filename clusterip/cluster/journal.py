"""What has been changed on the machine, written down before each change so that it can be undone.

The journal is a file of steps, one a line. It is in a directory that a reboot empties, as a reboot also
undoes what it lists.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from clusterip.cluster import steps
from clusterip.cluster.steps import Step, Workspace


class Journal:
    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[Step]:
        """What may have been changed, in order."""
        try:
            return list(steps.decode_lines(self._path.read_bytes()))
        except FileNotFoundError:
            return []

    def run(self, plan: Iterable[Step], workspace: Workspace) -> None:
        """Do steps, each written down first if it changes the machine. Doing them again is harmless."""
        known = {step if not isinstance(step, steps.Sysctl) else step.name for step in self.entries()}
        self._drop_torn_line()
        with self._path.open("ab", buffering=0) as file:
            for step in plan:
                key = step if not isinstance(step, steps.Sysctl) else step.name
                # What is known keeps the value remembered first: that from before we came.
                if step.stays and key not in known:
                    file.write(steps.encode(step.remembering()) + b"\n")
                    known.add(key)
                step.do(workspace)

    def undo(self, workspace: Workspace, on_error: Callable[[Step, Exception], None]) -> None:
        """Undo everything, last first; the journal is gone if all of it could be undone."""
        failed = False
        for step in reversed(self.entries()):
            try:
                step.undo(workspace)
            except Exception as error:  # noqa: BLE001 - the other steps are to be undone all the same
                failed = True
                on_error(step, error)
        if not failed:
            self._path.unlink(missing_ok=True)

    def _drop_torn_line(self) -> None:
        """A crash may have cut the last line short; what it was to announce did not happen then."""
        with contextlib.suppress(FileNotFoundError):
            data = self._path.read_bytes()
            if not data.endswith(b"\n"):
                os.truncate(self._path, data.rfind(b"\n") + 1)
