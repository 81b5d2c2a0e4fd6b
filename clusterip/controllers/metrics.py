"""What the controllers tell Prometheus; read only when somebody asks, so counting costs an addition."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

from clusterip.controllers.leaderelection.elector import LeaderElector
from clusterip.controllers.manager import Manager


class ControllerMetrics(Collector):
    """Queues under upstream's names, syncs under our own."""

    def __init__(self, manager: Manager, elector: LeaderElector | None) -> None:
        self._manager = manager
        self._elector = elector

    def collect(self) -> Iterable[Metric]:
        by_name = ["name"]
        depth = GaugeMetricFamily("workqueue_depth", "Keys that wait to be worked on", labels=by_name)
        adds = CounterMetricFamily("workqueue_adds", "Keys added to the queue", labels=by_name)
        retries = CounterMetricFamily("workqueue_retries", "Keys added again after a failure", labels=by_name)
        syncs = CounterMetricFamily(
            "clusterip_controller_syncs", "Syncs, with or without success", labels=by_name
        )
        errors = CounterMetricFamily("clusterip_controller_sync_errors", "Syncs that failed", labels=by_name)
        seconds = CounterMetricFamily(
            "clusterip_controller_sync_seconds", "Time spent in syncs", labels=by_name
        )
        for controller in self._manager.controllers:
            label = [controller.name]
            depth.add_metric(label, len(controller.queue))
            adds.add_metric(label, controller.queue.adds)
            retries.add_metric(label, controller.queue.retries)
            syncs.add_metric(label, controller.syncs)
            errors.add_metric(label, controller.sync_errors)
            seconds.add_metric(label, controller.sync_seconds)
        objects = GaugeMetricFamily("clusterip_informer_objects", "Objects known", labels=["resource"])
        connected = GaugeMetricFamily(
            "clusterip_informer_connected", "1 while the watch is open", labels=["resource"]
        )
        for name, informer in self._manager.context.informers.items():
            objects.add_metric([name], len(informer.objects))
            connected.add_metric([name], informer.connected)
        return [depth, adds, retries, syncs, errors, seconds, objects, connected, *self._election()]

    def _election(self) -> Iterable[Metric]:
        if self._elector is None:
            return
        name = [self._elector.settings.resource_name]
        leads = GaugeMetricFamily(
            "leader_election_master_status", "1 while this process leads", labels=["name"]
        )
        leads.add_metric(name, self._elector.leads)
        yield leads
        slow = CounterMetricFamily(
            "leader_election_slowpath", "Renewals that had to read the lease first", labels=["name"]
        )
        slow.add_metric(name, self._elector.slow_renewals)
        yield slow


def register(manager: Manager, elector: LeaderElector | None = None) -> ControllerMetrics:
    collector = ControllerMetrics(manager, elector)
    REGISTRY.register(collector)
    return collector


def unregister(collector: ControllerMetrics) -> None:
    REGISTRY.unregister(collector)
