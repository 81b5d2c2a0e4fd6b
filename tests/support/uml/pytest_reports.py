"""Inside the machine: each test's reports as a line of JSON, for the pytest outside to repeat."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

REPORTS = "CLUSTERIP_TEST_REPORTS"
"""The environment variable that names the file; it also tells tests that they are inside."""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Writer(config, Path(os.environ[REPORTS])))


class _Writer:
    def __init__(self, config: pytest.Config, path: Path) -> None:
        self._config = config
        self._file = path.open("w", buffering=1)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._file.write(json.dumps(data, default=str) + "\n")
