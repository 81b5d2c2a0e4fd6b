"""What a data plane cannot do, and why: the one place that says so. docs/proxy.md repeats it for people."""

from __future__ import annotations

from clusterip.proxy import modes
from tests.kernel.proxy.cases.model import Case
from tests.kernel.proxy.cases.place import Place

_ONLY_SERVICES = "kube-proxy's rules only know addresses with ports that Services have"
_ONE_SET = "a virtual server has one set of endpoints: Local policies bind Pods and the node as everybody"
_ROUND_ROBIN = "round robin begins all new Services at the same endpoint"
_ONLY_ADDRESSES = "there are only rules for addresses that Services have"
_NO_PACKETS = "a connection that is translated at the socket is the Pod's with itself: nothing is rewritten"
_BY_SOCKET = "a flow is a socket's, not a source port's: see test_proxy_ebpf.py"
_NO_OUTPUT = "kube-proxy's rules do not refuse the node itself at addresses other than ClusterIPs"

LACKING: dict[str, dict[str, str]] = {mode: {} for mode in modes.NAMES} | {
    "iptables": {
        "several ports of a Service": _ONLY_SERVICES,
        "other ports of a ClusterIP refuse": _ONLY_SERVICES,
        "ranges of Services that come and go": _ONLY_SERVICES,
        "a Service without endpoints refuses at once, everywhere": _NO_OUTPUT,
        "externalTrafficPolicy Local: this node's endpoints and the client's address": _NO_OUTPUT,
        "source ranges also keep others from being refused": "kube-proxy's rules refuse before they filter",
    },
    "ipvs": {
        "clients choose evenly, each for itself": _ROUND_ROBIN,
        "affinity dies with its endpoint, also if that comes back": (
            "to IPVS an endpoint that comes back while it remembers connections is the same one"
        ),
        "affinity is for the Service port, by whichever address": "an address is a virtual server of its own",
        "each port of a Service has its own affinity": _ROUND_ROBIN,
        "affinity ends when the client was away for its timeout": (
            "IPVS counts from when it has forgotten the last connection"
        ),
        "terminating endpoints and the Local policies, each for itself": _ONE_SET,
        "Pods that cannot be told from others": _ONE_SET,
        "externalTrafficPolicy Local: this node's endpoints and the client's address": _ONE_SET,
        "hints do not bind the Local policies": _ONE_SET,
        "both policies Local": _ONE_SET,
        "connections outlive their endpoint, their Service and the proxy": (
            "connections are the virtual server's, and end with it"
        ),
        "UDP clients stay with an endpoint that terminates but serves": (
            "UDP clients move on as it terminates"
        ),
        "one UDP client talks to a Service by several of its addresses": (
            "an endpoint's answer to one socket belongs to one address"
        ),
        "two Services on one external IP": (
            "an address is the node's own while a Service has it: other ports are refused"
        ),
        "ranges of Services that come and go": _ONLY_ADDRESSES,
        "addresses of the Services' range that no Service has are dropped": _ONLY_ADDRESSES,
    },
    "ebpf": {
        "a Pod reaches itself through its Service": _NO_PACKETS,
        "Pods known by the bridge they come in by": _NO_PACKETS,
        "packets that cannot be translated back do not reach clients": _NO_PACKETS,
        "affinity is for the Service port, by whichever address": (
            "the socket remembers for the ClusterIP, nftables for all other addresses"
        ),
        "UDP clients leave an endpoint that goes": _BY_SOCKET,
        "UDP clients stay with an endpoint that terminates but serves": _BY_SOCKET,
        "UDP clients of one Service are not disturbed by another's changes": _BY_SOCKET,
    },
}
"""For each mode: the name of a case, or ``case [place]``, and why it cannot be."""


def lacks(mode: str, case: Case, place: Place) -> str:
    """Why a mode cannot do what a case asks for; empty if it must."""
    known = LACKING[mode]
    return known.get(case.name) or known.get(f"{case.name} [{place}]", "")
