"""How Sphinx makes a site of these pages: `make docs`. The pages themselves are plain Markdown."""

from __future__ import annotations

import runpy
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
runpy.run_path(str(ROOT / "tools/reference.py"))["write"]()

project = "clusterip"
author = "the clusterip authors"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
extensions = ["myst_parser"]
exclude_patterns = ["conf.py"]
nitpicky = True

# A link to a heading that is not there is a warning, and with --fail-on-warning an error.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"clusterip {release}"
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None  # so that the same source gives the same site
highlight_language = "none"
