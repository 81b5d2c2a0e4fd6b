"""All cases."""

from __future__ import annotations

from importlib import import_module

from tests.kernel.proxy.cases.model import CASES, Case

_CHAPTERS = (
    "cluster_ip",
    "affinity",
    "endpoints",
    "flows",
    "pods",
    "node_ports",
    "external",
    "policies",
    "refusing",
    "topology",
)

for _chapter in _CHAPTERS:
    import_module(f"tests.kernel.proxy.cases.{_chapter}")


def all_cases() -> list[Case]:
    return CASES
