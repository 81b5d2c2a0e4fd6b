"""``/stats/summary``: what the node and its Pods use. See ``k8s.io/kubelet/pkg/apis/stats/v1alpha1``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clusterip.node.cgroups.files import Usage
from clusterip.node.stats import machine
from clusterip.node.stats.collect import ContainerUsage, PodUsage
from clusterip.node.stats.machine import Disk, Interface
from clusterip.objects import times

Tree = dict[str, Any]

_BETWEEN = 1.0  # seconds at least between two looks from which a rate is told


class Rates:
    """How much of the processor is used now, from how much had been at an earlier look."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, int, int | None]] = {}

    def nanocores(self, key: str, used: int) -> int | None:
        """Nanoseconds a second; None at the first look."""
        now = time.monotonic()
        known = self._known.get(key)
        if known is None:
            self._known[key] = now, used, None
            return None
        at, before, rate = known
        if now - at < _BETWEEN:
            return rate
        rate = max(0, int((used - before) / (now - at)))
        self._known[key] = now, used, rate
        return rate

    def keep(self, keys: set[str]) -> None:
        """Forget all others."""
        self._known = {key: value for key, value in self._known.items() if key in keys}


class Summary:
    """Writes the summary of a node."""

    def __init__(self, node: str, root: Path, images: Path) -> None:
        self._node = node
        self._root = root
        self._images = images
        self._rates = Rates()

    def write(self, pods: Iterable[PodUsage], *, only_cpu_and_memory: bool = False) -> Tree:
        """The whole document."""
        now = times.now()
        keys = {""}
        written = []
        for pod in pods:
            written.append(self._pod(pod, now, keys, only_cpu_and_memory))
        node = self._machine(now, only_cpu_and_memory)
        self._rates.keep(keys)
        return {"node": node, "pods": written}

    def _machine(self, now: str, brief: bool) -> Tree:
        used = machine.usage()
        total = machine.memory_fields()["MemTotal"]
        found: Tree = {
            "nodeName": self._node,
            "startTime": _moment(machine.started_at()),
            **self._usage("", used, now),
        }
        found["memory"]["availableBytes"] = max(0, total - (used.working_set or 0))
        if brief:
            return found
        disk, images = machine.disk(self._root), self._images
        found["fs"] = _disk(disk, now)
        found["runtime"] = {"imageFs": _disk(machine.disk(images) if images.exists() else disk, now)}
        links = [link for link in machine.interfaces().values() if link.name != "lo"]
        if links:
            outward = next((link for link in links if link.name == "eth0"), links[0])
            found["network"] = {"time": now, **_interface(outward), "interfaces": [*map(_interface, links)]}
        largest, count = machine.processes()
        found["rlimit"] = {"time": now, "maxpid": largest, "curproc": count}
        return found

    def _pod(self, found: PodUsage, now: str, keys: set[str], brief: bool) -> Tree:
        meta = found.pod.metadata
        disk = machine.disk(self._root)
        tree: Tree = {
            "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            "startTime": found.pod.status.startTime or meta.creationTimestamp or now,
            "containers": [
                self._container(each, meta.uid, now, keys, disk, brief) for each in found.containers
            ],
            **self._usage(meta.uid, found.usage, now),
        }
        keys.add(meta.uid)
        if brief:
            return tree
        if found.network is not None:
            link = _interface(found.network)
            tree["network"] = {"time": now, **link, "interfaces": [link]}
        tree["volume"] = [
            {"time": now, "name": name, **_space(disk), "usedBytes": size}
            for name, size in found.volumes.items()
        ]
        written = sum(each.written + each.logged for each in found.containers) + sum(found.volumes.values())
        tree["ephemeral-storage"] = {"time": now, **_space(disk), "usedBytes": written}
        if found.usage.processes is not None:
            tree["process_stats"] = {"process_count": found.usage.processes}
        return tree

    def _container(
        self, found: ContainerUsage, pod: str, now: str, keys: set[str], disk: Disk, brief: bool
    ) -> Tree:
        key = f"{pod}/{found.id}"
        keys.add(key)
        tree: Tree = {
            "name": found.name,
            "startTime": _moment(found.started_at),
            **self._usage(key, found.usage, now),
        }
        if not brief:
            tree["rootfs"] = {"time": now, **_space(disk), "usedBytes": found.written}
            tree["logs"] = {"time": now, **_space(disk), "usedBytes": found.logged}
        return tree

    def _usage(self, key: str, used: Usage, now: str) -> Tree:
        cpu: Tree = {"time": now}
        memory: Tree = {"time": now}
        if used.cpu is not None:
            cpu["usageCoreNanoSeconds"] = used.cpu
            rate = self._rates.nanocores(key, used.cpu)
            if rate is not None:
                cpu["usageNanoCores"] = rate
        values = {
            "usageBytes": used.memory,
            "workingSetBytes": used.working_set,
            "rssBytes": used.rss,
            "pageFaults": used.page_faults,
            "majorPageFaults": used.major_page_faults,
        }
        memory |= {name: value for name, value in values.items() if value is not None}
        total = machine.memory_fields()["MemTotal"]
        if used.memory_limit is not None and used.memory_limit < total and used.working_set is not None:
            memory["availableBytes"] = max(0, used.memory_limit - used.working_set)
        return {"cpu": cpu, "memory": memory}


def _moment(seconds: float) -> str:
    return times.format_time(datetime.fromtimestamp(seconds, UTC))


def _interface(link: Interface) -> Tree:
    return {
        "name": link.name,
        "rxBytes": link.received,
        "rxErrors": link.receive_errors,
        "txBytes": link.sent,
        "txErrors": link.send_errors,
    }


def _space(disk: Disk) -> Tree:
    return {
        "availableBytes": disk.available,
        "capacityBytes": disk.capacity,
        "inodesFree": disk.inodes_free,
        "inodes": disk.inodes,
    }


def _disk(disk: Disk, now: str) -> Tree:
    used = {"usedBytes": disk.used, "inodesUsed": disk.inodes - disk.inodes_free}
    return {"time": now, **_space(disk), **used}
