"""Which iptables programs are used, and what is said when there are none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from iptables_node import Node

from clusterip.kernel import iptables, namespaces
from clusterip.kernel.nftables import Family
from clusterip.proxy.backend import BackendError, BackendOptions
from clusterip.proxy.iptables import mode
from clusterip.proxy.iptables.names import KUBELET_CHAINS


@pytest.fixture
def no_programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PATH", "/nonexistent")
    iptables._look.cache_clear()
    yield
    iptables._look.cache_clear()


async def test_a_kubelets_chain_shows_which_kind_the_host_uses(node: Node) -> None:
    """Of either kind, whatever ``iptables`` itself is."""
    node.restore(f"*mangle\n:{KUBELET_CHAINS[0]} - [0:0]\nCOMMIT\n")
    chosen = namespaces.run_in(node.namespace, lambda: iptables.choose(Family.IPV4, KUBELET_CHAINS))
    assert chosen is not None
    assert chosen.kind == node.kind


async def test_looking_leaves_no_tables_of_the_older_interface(node: Node) -> None:
    """iptables-legacy-save would make the tables that it is asked for."""
    namespaces.run_in(node.namespace, lambda: iptables.choose(Family.IPV4, KUBELET_CHAINS))
    assert namespaces.run_in(node.namespace, lambda: iptables.legacy_tables(Family.IPV4)) <= {"nat"}
    for family in Family:
        assert node.saved(family).get("mangle", {}).keys() <= {
            "PREROUTING",
            "INPUT",
            "FORWARD",
            "OUTPUT",
            "POSTROUTING",
        }


def test_without_programs_it_is_said_how_to_get_them(no_programs: None) -> None:
    assert "apt install iptables" in mode.missing()
    with pytest.raises(BackendError, match="apt install iptables"):
        mode.open_backend(BackendOptions())
