"""Outside the machine: runs it once, for all tests that need it, and repeats their reports here."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.uml import machine
from tests.support.uml.pytest_reports import REPORTS

_SECONDS = 600.0


class Reports:
    """What became of tests in the machine, by node id."""

    def __init__(self, config: pytest.Config, directory: Path, paths: Sequence[str]) -> None:
        """Run the tests of ``paths``, unless another process of this test run has done so already."""
        self._config = config
        directory.mkdir(parents=True, exist_ok=True)
        self.failure = ""
        lines = directory / "reports"
        with (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not lines.exists():
                self._run(directory, lines, paths)
            failure = directory / "failure"
            self.failure = failure.read_text() if failure.exists() else ""
        self._reports: dict[str, list[pytest.TestReport]] = defaultdict(list)
        for line in lines.read_text().splitlines() if lines.exists() else ():
            report = config.hook.pytest_report_from_serializable(config=config, data=json.loads(line))
            if isinstance(report.longrepr, list):  # JSON has no tuples, which a skip's place and reason are
                report.longrepr = tuple(report.longrepr)
            self._reports[report.nodeid].append(report)

    def _run(self, directory: Path, lines: Path, paths: Sequence[str]) -> None:
        command = [
            *("env", f"{REPORTS}={lines}", "PYTHONDONTWRITEBYTECODE=1", "HOME=/root"),
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "tests.support.uml.pytest_reports", *paths),
        ]
        try:
            machine.run(command, directory, seconds=_SECONDS)
        except machine.UmlError as error:
            (directory / "failure").write_text(str(error))
        lines.touch()

    def repeat(self, item: pytest.Item) -> None:
        """Report for ``item`` what became of it in the machine."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        found = self._reports.get(item.nodeid)
        for report in found or [self._lost(item)]:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _lost(self, item: pytest.Item) -> pytest.TestReport:
        why = self.failure or "the machine has run all tests, but not this one"
        return pytest.TestReport(item.nodeid, item.location, {}, "failed", f"user-mode-linux: {why}", "call")


def is_inside() -> bool:
    return REPORTS in os.environ
