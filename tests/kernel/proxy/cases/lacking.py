"""What a data plane cannot do, and why: the one place that says so. docs/proxy.md repeats it for people."""

from __future__ import annotations

from clusterip.proxy import modes
from tests.kernel.proxy.cases.model import Case
from tests.kernel.proxy.cases.place import Place

_ONLY_SERVICES = "kube-proxy's rules only know addresses with ports that Services have"
_NO_OUTPUT = "kube-proxy's rules do not refuse the node itself at addresses other than ClusterIPs"

LACKING: dict[str, dict[str, str]] = {mode: {} for mode in modes.NAMES} | {
    "iptables": {
        "several ports of a Service": _ONLY_SERVICES,
        "other ports of a ClusterIP refuse": _ONLY_SERVICES,
        "ranges of Services that come and go": _ONLY_SERVICES,
        "a Service without endpoints refuses at once, everywhere": _NO_OUTPUT,
        "externalTrafficPolicy Local: this node's endpoints and the client's address": _NO_OUTPUT,
        "source ranges also keep others from being refused": "kube-proxy's rules refuse before they filter",
        "two Services that claim one external address and port: the older has it, then the other": (
            "kube-proxy's rules leave it to chance"
        ),
    },
}
"""For each mode: the name of a case, or ``case [place]``, and why it cannot be."""


def lacks(mode: str, case: Case, place: Place) -> str:
    """Why a mode cannot do what a case asks for; empty if it must."""
    known = LACKING[mode]
    return known.get(case.name) or known.get(f"{case.name} [{place}]", "")
