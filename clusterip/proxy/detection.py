"""``detectLocalMode``: how Pods' connections are told from others'.

Upstream: ``getLocalDetectors`` in ``cmd/kube-proxy/app/server_linux.go`` and ``pkg/proxy/node.go``.
"""

from __future__ import annotations

import asyncio

from clusterip.process import Fatal, log
from clusterip.proxy import wire
from clusterip.proxy.backend import PodDetection
from clusterip.proxy.config import KubeProxyConfiguration
from clusterip.proxy.nodes import first_of_each_family, networks, pod_cidrs

_log = log.get("proxy")

_PATIENCE_SECONDS = 300.0  # upstream's, for Pod CIDRs


class LocalDetection:
    """What ``pods`` gives may depend on the Node object, of which ``node_changed`` must be told."""

    def __init__(
        self, config: KubeProxyConfiguration, node_name: str, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._config = config
        self._node_name = node_name
        self._patience = patience
        self._found: tuple[str, ...] = ()
        self._exists = False
        self._used = False
        self._allocated = asyncio.Event()

    def node_changed(self, old: wire.Node | None, node: wire.Node | None) -> None:
        """For an informer of this node.

        Raises:
            Fatal: the Pods have other addresses now than those the rules were made for.
        """
        if node is None or self._config.detectLocalMode != "NodeCIDR":
            return
        self._exists = True
        now = pod_cidrs(node)
        if self._used and now != self._found:
            raise Fatal(
                f"the Pod CIDRs of node {self._node_name!r} have changed from {', '.join(self._found)} to"
                f" {', '.join(now) or 'none'}; ending, to be started with these"
            )
        self._found = now
        if now:
            self._allocated.set()

    async def pods(self) -> PodDetection:
        """How to tell Pods from others; for ``NodeCIDR`` once the node has its Pods' addresses.

        Raises:
            Fatal: it did not get any in time, or they cannot be read.
        """
        config = self._config
        match config.detectLocalMode:
            case "BridgeInterface":
                return PodDetection(bridge=config.detectLocal.bridgeInterface)
            case "InterfaceNamePrefix":
                return PodDetection(interface_prefix=config.detectLocal.interfaceNamePrefix)
            case "NodeCIDR":
                texts = await self._of_node()
            case _:
                texts = tuple(config.cluster_cidrs)
        if not texts:
            _log.warning(
                "without --cluster-cidr Pods cannot be told from others: nothing to ClusterIPs is masqueraded"
            )
        try:
            return PodDetection(first_of_each_family(networks(texts)))
        except ValueError as error:
            raise Fatal(f"the Pods' addresses cannot be read: {error}") from None

    async def _of_node(self) -> tuple[str, ...]:
        if not self._allocated.is_set():
            _log.info("waiting for the node's Pod CIDRs", node=self._node_name)
        try:
            async with asyncio.timeout(self._patience):
                await self._allocated.wait()
        except TimeoutError:
            lacking = "PodCIDR allocation on node" if self._exists else "there to be a node"
            raise Fatal(f"timeout waiting for {lacking} {self._node_name!r}") from None
        self._used = True
        return self._found
