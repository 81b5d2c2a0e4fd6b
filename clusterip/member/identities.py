"""Who the parts of a node are, as certificates."""

from __future__ import annotations

from dataclasses import dataclass

from clusterip.objects.certificates.pkcs10 import NODE_PREFIX, NODES_GROUP
from clusterip.objects.certificates.types import CLIENT, KUBELET_CLIENT, KUBELET_SERVING

_CLIENT = ("digital signature", "client auth")
_SERVER = ("digital signature", "server auth")


@dataclass(frozen=True)
class Identity:
    """A certificate to have: its file's name, whom it names, who signs it, what it is for and, for a
    server, the names and addresses it answers to."""

    file: str
    user: str
    signer: str
    groups: tuple[str, ...] = ()
    usages: tuple[str, ...] = _CLIENT
    names: tuple[str, ...] = ()


def node(name: str) -> Identity:
    """The node agent, as a client of the API. With it the others are asked for."""
    return Identity("node", NODE_PREFIX + name, KUBELET_CLIENT, (NODES_GROUP,))


def serving(name: str, addresses: tuple[str, ...]) -> Identity:
    """The node agent, as a server."""
    return Identity(
        "serving", NODE_PREFIX + name, KUBELET_SERVING, (NODES_GROUP,), _SERVER, (name, *addresses)
    )


PARTS = (
    Identity("proxy", "system:kube-proxy", CLIENT),
    Identity("dns", "system:serviceaccount:kube-system:coredns", CLIENT),
    Identity("network", "clusterip:network", CLIENT),
)


def all_of(name: str, addresses: tuple[str, ...]) -> tuple[Identity, ...]:
    """Every certificate of a node, the one that the others are asked for with first."""
    return (node(name), serving(name, addresses), *PARTS)
