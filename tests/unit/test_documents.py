"""The site of the documentation is built without a warning, and what no site checks leads somewhere too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_site_is_built_without_warnings(tmp_path: Path) -> None:
    """A page that is in no contents, a link that leads nowhere, a heading that is gone: all are warnings."""
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(ROOT / "docs"), str(tmp_path / "site")],
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "UTC"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in (tmp_path / "site").glob("*.html")}
    commands = (tmp_path / "site" / "reference" / "command-line.html").read_text()
    assert 'id="clusterip-snapshot-restore"' in commands
    assert "--service-cluster-ip-range" in commands


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / document).read_text()):
        assert (ROOT / link).exists(), link
