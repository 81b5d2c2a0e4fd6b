"""What a Pod's containers live in: its sandbox and its volumes."""

from __future__ import annotations

import time
from pathlib import Path

from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.nftables import NftablesError
from clusterip.node.cgroups.limits import of_pod
from clusterip.node.layout import PodDirectory
from clusterip.node.network.ipam import Exhausted
from clusterip.node.pods import starter, volumes
from clusterip.node.pods.context import NodeContext
from clusterip.node.pods.downward import PodFacts
from clusterip.node.sandbox import sandbox as sandboxes
from clusterip.node.sandbox.sandbox import Sandbox
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.pod.quality import quality_of_service

_REFRESH_SECONDS = 60.0  # how old what volumes hold of ConfigMaps, Secrets and tokens may be


class Home:
    """The sandbox and volumes of one Pod; ``sandbox`` is None while there is none."""

    def __init__(self, context: NodeContext, pod: Pod, directory: PodDirectory) -> None:
        self.directory = directory
        self.sandbox: Sandbox | None = None
        self._context = context
        self._last_addresses = [each.ip for each in pod.status.podIPs]
        self._fresh_until = 0.0

    @property
    def addresses(self) -> list[str]:
        """The Pod's addresses; those it had last if it has none any more."""
        if self.sandbox is None:
            return list(self._last_addresses)
        if not self.sandbox.record.network:
            return list(self._context.addresses)
        return self.sandbox.addresses

    def facts(self, pod: Pod) -> PodFacts:
        """The Pod with what only its node knows of it."""
        context = self._context
        return PodFacts(pod, self.addresses, context.addresses, context.name, context.allocatable)

    def find(self, pod: Pod) -> None:
        """Take over the sandbox an earlier agent made, if it is still there."""
        self.sandbox = sandboxes.load(self.directory)
        if self.sandbox is None and sandboxes.read_record(self.directory) is not None:
            self._say_changed(pod)

    def drop_lost_sandbox(self, pod: Pod) -> None:
        """Let there be none if somebody has taken away part of it: it cannot be mended."""
        if self.sandbox is not None and not self.sandbox.is_whole:
            self._say_changed(pod)
            self.release()

    def _say_changed(self, pod: Pod) -> None:
        message = "Pod sandbox changed, it will be killed and re-created."
        self._context.event(pod, "Normal", "SandboxChanged", message)

    def make_sandbox(self, pod: Pod) -> Sandbox:
        """Have a sandbox.

        Raises:
            StartFailed: it cannot be made now.
        """
        if self.sandbox is None:
            if not pod.spec.hostNetwork and not self._context.pools.pools:
                message = "network is not ready: container network not ready: no podCIDR yet"
                self._context.event(pod, "Warning", "NetworkNotReady", message)
                raise starter.StartFailed("ContainerCreating", message)
            try:
                self._make_cgroups(pod)
                self.sandbox = sandboxes.create(
                    pod, self.directory, self._context.pools, self._context.sandboxes
                )
                self._open_host_ports(self.sandbox)
                for reason, message in sandboxes.dns_problems(pod, self._context.sandboxes).items():
                    self._context.event(pod, "Warning", reason, message)
            except (OSError, Exhausted, NftablesError, NetlinkError) as error:
                message = f"Failed to create pod sandbox: {error}"
                self._context.event(pod, "Warning", "FailedCreatePodSandBox", message)
                raise starter.StartFailed("ContainerCreating", message) from error
        return self.sandbox

    def _make_cgroups(self, pod: Pod) -> None:
        limits = of_pod(pod.spec, self._context.max_processes)
        quality = pod.status.qosClass or quality_of_service(pod.spec)
        self._context.cgroups.make_pod(self.directory.uid, quality, limits, self.directory.path)

    def _open_host_ports(self, sandbox: Sandbox) -> None:
        record = sandbox.record
        try:
            self._context.host_ports.add(self.directory.uid, record.host_ports, record.addresses)
        except (NftablesError, NetlinkError):
            self.release()  # the next attempt starts afresh
            raise

    async def fill_volumes(self, pod: Pod, *, needed: bool) -> dict[str, Path]:
        """Have the Pod's volumes, by name; nothing is done (and none returned) unless they are ``needed``
        to start a container or have grown old.

        Raises:
            StartFailed: one cannot be made now.
        """
        if not needed and time.monotonic() < self._fresh_until:
            return {}
        found = await starter.set_up_volumes(self._context, self.facts(pod), self.directory)
        self._fresh_until = time.monotonic() + _REFRESH_SECONDS
        return found

    def refresh(self) -> None:
        """Let the next ``fill_volumes`` bring them up to date."""
        self._fresh_until = 0.0

    def stale_in(self, pod: Pod) -> float | None:
        """The seconds after which volumes need a look; None if they hold nothing that changes."""
        if not any(volumes.changes(volume) for volume in pod.spec.volumes):
            return None
        return max(0.0, self._fresh_until - time.monotonic())

    def release(self) -> None:
        """Give back the network; the addresses are remembered."""
        self._last_addresses = self.addresses
        self._context.host_ports.remove(self.directory.uid)
        sandboxes.delete(self.directory, self._context.pools)
        self._context.cgroups.remove_pod(self.directory.path)
        self.sandbox = None
