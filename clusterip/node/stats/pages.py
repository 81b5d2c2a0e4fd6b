"""``/metrics/resource``, ``/metrics/cadvisor`` and ``/metrics/probes``, in Prometheus' text format.

Names and labels are upstream's: ``pkg/kubelet/metrics/collectors/resource_metrics.go``, cAdvisor's that
dashboards use, ``pkg/kubelet/prober/prober_manager.go``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence

from clusterip.node.cgroups.files import Usage
from clusterip.node.pods.probing import ProbeCounts
from clusterip.node.stats import machine
from clusterip.node.stats.collect import PodUsage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Page:
    """Collects samples by metric: a metric's lines must be together."""

    def __init__(self, *, stamped: bool = True) -> None:
        self._lines: dict[str, list[str]] = {}
        self._stamp = f" {time.time_ns() // 1_000_000}" if stamped else ""

    def metric(self, name: str, kind: str, text: str) -> None:
        self._lines[name] = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]

    def sample(
        self, name: str, value: float | None, labels: Mapping[str, str] | None = None, *, stamped: bool = True
    ) -> None:
        """Add a sample; None is nothing to tell."""
        if value is None:
            return
        shown = ",".join(f'{key}="{_escaped(each)}"' for key, each in (labels or {}).items())
        stamp = self._stamp if stamped else ""
        self._lines[name].append(
            f"{name}{{{shown}}} {value!r}{stamp}" if shown else f"{name} {value!r}{stamp}"
        )

    def text(self) -> str:
        return "".join(f"{line}\n" for lines in self._lines.values() if len(lines) > 2 for line in lines)


def resource(pods: Iterable[PodUsage]) -> str:
    """What metrics-server and autoscalers read."""
    page = _Page()
    for of in ("container", "node", "pod"):
        seconds = f"[STABLE] Cumulative cpu time consumed by the {of} in core-seconds"
        page.metric(f"{of}_cpu_usage_seconds_total", "counter", seconds)
        page.metric(
            f"{of}_memory_working_set_bytes", "gauge", f"[STABLE] Current working set of the {of} in bytes"
        )
    page.metric(
        "container_start_time_seconds",
        "gauge",
        "[STABLE] Start time of the container since unix epoch in seconds",
    )
    page.metric(
        "resource_scrape_error",
        "gauge",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
    )
    _used(page, "node", machine.usage(), {})
    for found in pods:
        meta = found.pod.metadata
        labels = {"namespace": meta.namespace, "pod": meta.name}
        _used(page, "pod", found.usage, labels)
        for each in found.containers:
            own = {"container": each.name, **labels}
            _used(page, "container", each.usage, own)
            page.sample("container_start_time_seconds", each.started_at, own, stamped=False)
    page.sample("resource_scrape_error", 0, stamped=False)
    return page.text()


def _used(page: _Page, of: str, used: Usage, labels: Mapping[str, str]) -> None:
    page.sample(f"{of}_cpu_usage_seconds_total", _seconds(used), labels)
    page.sample(f"{of}_memory_working_set_bytes", used.working_set, labels)


_CADVISOR = (
    ("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds."),
    ("container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory."),
    ("container_memory_working_set_bytes", "gauge", "Current working set in bytes."),
    ("container_memory_rss", "gauge", "Size of RSS in bytes."),
    ("container_spec_memory_limit_bytes", "gauge", "Memory limit for the container."),
    ("container_processes", "gauge", "Number of processes running inside the container."),
    ("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds."),
    ("container_fs_usage_bytes", "gauge", "Number of bytes that are consumed by the container."),
    ("container_network_receive_bytes_total", "counter", "Cumulative count of bytes received"),
    ("container_network_receive_errors_total", "counter", "Cumulative count of errors while receiving"),
    ("container_network_transmit_bytes_total", "counter", "Cumulative count of bytes transmitted"),
    ("container_network_transmit_errors_total", "counter", "Cumulative count of errors while transmitting"),
    ("machine_cpu_cores", "gauge", "Number of logical CPU cores."),
    ("machine_memory_bytes", "gauge", "Amount of memory installed on the machine."),
)


def cadvisor(pods: Iterable[PodUsage]) -> str:
    """The series of cAdvisor that are asked for most; a Pod's own have an empty container."""
    page = _Page()
    for name, kind, text in _CADVISOR:
        page.metric(name, kind, text)
    page.sample("machine_cpu_cores", os.cpu_count(), stamped=False)
    page.sample("machine_memory_bytes", machine.memory_fields()["MemTotal"], stamped=False)
    for found in pods:
        meta = found.pod.metadata
        pod = {"namespace": meta.namespace, "pod": meta.name}
        place = f"/kubepods/pod{meta.uid}"
        labels = {"container": "", "id": place, "image": "", "name": "", **pod}
        _cadvisor_usage(page, found.usage, labels)
        if found.network is not None:
            link = {**labels, "interface": found.network.name}
            for name, value in (
                ("receive_bytes", found.network.received),
                ("receive_errors", found.network.receive_errors),
                ("transmit_bytes", found.network.sent),
                ("transmit_errors", found.network.send_errors),
            ):
                page.sample(f"container_network_{name}_total", value, link)
        for each in found.containers:
            own = {"container": each.name, "id": f"{place}/{each.id}", "image": each.image, "name": each.id}
            _cadvisor_usage(page, each.usage, {**own, **pod})
            page.sample("container_start_time_seconds", each.started_at, {**own, **pod})
            page.sample("container_fs_usage_bytes", each.written, {**own, **pod})
    return page.text()


def _cadvisor_usage(page: _Page, used: Usage, labels: Mapping[str, str]) -> None:
    page.sample("container_cpu_usage_seconds_total", _seconds(used), {**labels, "cpu": "total"})
    page.sample("container_memory_usage_bytes", used.memory, labels)
    page.sample("container_memory_working_set_bytes", used.working_set, labels)
    page.sample("container_memory_rss", used.rss, labels)
    unlimited = used.memory_limit is None or used.memory_limit > 1 << 62
    page.sample("container_spec_memory_limit_bytes", 0 if unlimited else used.memory_limit, labels)
    page.sample("container_processes", used.processes, labels)


def probes(counts: Sequence[tuple[Mapping[str, str], ProbeCounts]]) -> str:
    """How often probes were done, by what came of it; each with the labels of its container."""
    page = _Page(stamped=False)
    page.metric(
        "prober_probe_total",
        "counter",
        "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
    )
    for labels, found in counts:
        for (kind, result), number in sorted(found.items()):
            page.sample("prober_probe_total", number, {**labels, "probe_type": kind, "result": result})
    return page.text()


def _seconds(used: Usage) -> float | None:
    return used.cpu / 1e9 if used.cpu is not None else None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
