"""What a data plane cannot do, and why: the one place that says so. docs/proxy.md repeats it for people."""

from __future__ import annotations

from clusterip.proxy import modes
from tests.kernel.proxy.cases.model import Case
from tests.kernel.proxy.cases.place import Place

LACKING: dict[str, dict[str, str]] = {mode: {} for mode in modes.NAMES}
"""For each mode: the name of a case, or ``case [place]``, and why it cannot be."""


def lacks(mode: str, case: Case, place: Place) -> str:
    """Why a mode cannot do what a case asks for; empty if it must."""
    known = LACKING[mode]
    return known.get(case.name) or known.get(f"{case.name} [{place}]", "")
