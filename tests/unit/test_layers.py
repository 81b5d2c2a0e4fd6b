"""Imports go one way, from the command line down to the objects (the contract is in ``.importlinter``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_imports_go_one_way() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_help_imports_no_command() -> None:
    """``clusterip --help`` is to be quick: nothing heavy may come with the command group."""
    script = (
        "import sys, clusterip.cli.main; "
        "print([m for m in ('aiohttp', 'asyncio', 'cryptography', 'msgspec', 'yaml') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
