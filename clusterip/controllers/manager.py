"""Runs the controllers of one process on shared informers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from clusterip.client.rest import Client
from clusterip.controllers.certificates.approver import CertificateApprover
from clusterip.controllers.certificates.cleaner import CertificateCleaner
from clusterip.controllers.certificates.signer import CertificateSigner
from clusterip.controllers.clusterroleaggregation import ClusterRoleAggregationController
from clusterip.controllers.context import Context
from clusterip.controllers.controller import Controller
from clusterip.controllers.daemonset.controller import DaemonSetController
from clusterip.controllers.deployment.controller import DeploymentController
from clusterip.controllers.disruption.controller import DisruptionController
from clusterip.controllers.endpoints.controller import EndpointsController
from clusterip.controllers.endpointslice.controller import EndpointSliceController
from clusterip.controllers.endpointslicemirroring.controller import EndpointSliceMirroringController
from clusterip.controllers.garbagecollector.controller import GarbageCollector
from clusterip.controllers.loadbalancer.controller import LoadBalancerController
from clusterip.controllers.namespaces import NamespaceController
from clusterip.controllers.nodedns import NodeDnsController
from clusterip.controllers.nodeipam import NodeIpamController
from clusterip.controllers.nodelifecycle.controller import NodeLifecycleController
from clusterip.controllers.options import Options
from clusterip.controllers.podgc import PodGarbageCollector
from clusterip.controllers.replicaset.controller import ReplicaSetController
from clusterip.controllers.replicationcontroller import ReplicationManager
from clusterip.controllers.scheduler.controller import Scheduler
from clusterip.controllers.serviceaccounts import RootCaPublisher, ServiceAccountController
from clusterip.controllers.serviceaccounttokens import ServiceAccountTokenController
from clusterip.controllers.serviceaddresses import ServiceAddressController
from clusterip.controllers.servicecidrs import ServiceCIDRController
from clusterip.controllers.statefulset.controller import StatefulSetController
from clusterip.controllers.tainteviction import TaintEvictionController
from clusterip.controllers.tokencleaner import TokenCleaner
from clusterip.objects import kinds

_ = kinds  # importing it registers every kind, which the garbage collector goes by

Factory = Callable[[Context, Options], "Controller[Any] | None"]


def _node_ipam(context: Context, options: Options) -> Controller[Any] | None:
    if not options.allocate_node_cidrs or not options.cluster_cidrs:
        return None
    return NodeIpamController(
        context, options.cluster_cidrs, options.node_cidr_mask_sizes, options.service_cluster_ip_ranges
    )


def _root_ca(context: Context, options: Options) -> Controller[Any] | None:
    root_ca = options.root_ca
    return RootCaPublisher(context, root_ca) if root_ca else None


def _tokens(context: Context, options: Options) -> Controller[Any] | None:
    signer = options.token_signer
    return ServiceAccountTokenController(context, signer, options.root_ca) if signer is not None else None


def _signer(context: Context, options: Options) -> Controller[Any] | None:
    authority = options.signing_authority
    return CertificateSigner(context, authority) if authority is not None else None


FACTORIES: dict[str, Factory] = {
    EndpointSliceController.name: lambda c, o: EndpointSliceController(
        c, o.max_endpoints_per_slice, o.endpointslice_updates_batch_period
    ),
    EndpointSliceMirroringController.name: lambda c, o: EndpointSliceMirroringController(c),
    EndpointsController.name: lambda c, o: EndpointsController(c, o.endpoint_updates_batch_period),
    DeploymentController.name: lambda c, o: DeploymentController(c),
    ReplicaSetController.name: lambda c, o: ReplicaSetController(c),
    DaemonSetController.name: lambda c, o: DaemonSetController(c),
    StatefulSetController.name: lambda c, o: StatefulSetController(c),
    ReplicationManager.name: lambda c, o: ReplicationManager(c),
    Scheduler.name: lambda c, o: Scheduler(c),
    NodeIpamController.name: _node_ipam,
    NodeDnsController.name: lambda c, o: NodeDnsController(c),
    ServiceCIDRController.name: lambda c, o: ServiceCIDRController(c),
    ServiceAddressController.name: lambda c, o: ServiceAddressController(c),
    LoadBalancerController.name: lambda c, o: LoadBalancerController(c),
    DisruptionController.name: lambda c, o: DisruptionController(c),
    NodeLifecycleController.name: lambda c, o: NodeLifecycleController(c, o.node_monitor_grace_period),
    TaintEvictionController.name: lambda c, o: TaintEvictionController(c),
    NamespaceController.name: lambda c, o: NamespaceController(c),
    ServiceAccountController.name: lambda c, o: ServiceAccountController(c),
    ServiceAccountTokenController.name: _tokens,
    RootCaPublisher.name: _root_ca,
    ClusterRoleAggregationController.name: lambda c, o: ClusterRoleAggregationController(c),
    CertificateApprover.name: lambda c, o: CertificateApprover(c),
    CertificateSigner.name: _signer,
    CertificateCleaner.name: lambda c, o: CertificateCleaner(c),
    TokenCleaner.name: lambda c, o: TokenCleaner(c),
    PodGarbageCollector.name: lambda c, o: PodGarbageCollector(c, o.terminated_pod_gc_threshold),
    GarbageCollector.name: lambda c, o: GarbageCollector(c),
}
"""All controllers by name, the garbage collector last. One that its options make pointless is None."""


class UnknownController(ValueError):
    """``--controllers`` names something that does not exist."""


def selected(wanted: Iterable[str]) -> list[str]:
    """The names that ``--controllers`` stands for: the first entry that names a controller decides.

    As kube-controller-manager: ``*,-scheduler`` is all but one, ``scheduler`` only that one; names with
    and without ``-controller`` mean the same.

    Raises:
        UnknownController: there is none of that name.
    """
    entries = list(wanted)
    for entry in entries:
        if entry != "*" and _full_name(entry.removeprefix("-")) is None:
            known = ", ".join(sorted(FACTORIES))
            raise UnknownController(f'there is no controller "{entry.removeprefix("-")}"; there are: {known}')
    chosen = []
    for name in FACTORIES:
        decisions = (
            entry[0] != "-" for entry in entries if entry != "*" and _full_name(entry.lstrip("-")) == name
        )
        if next(decisions, "*" in entries):
            chosen.append(name)
    return chosen


class Manager:
    """The chosen controllers and what they share. ``run`` works until cancelled."""

    def __init__(self, client: Client, options: Options) -> None:
        """Raises UnknownController as ``selected``."""
        self.context = Context(client)
        made = (FACTORIES[name](self.context, options) for name in selected(options.controllers))
        self.controllers = [controller for controller in made if controller is not None]

    async def run(self) -> None:
        """Raises what a bug outside a controller's ``sync`` raises: better to start afresh."""
        async with asyncio.TaskGroup() as group:
            for each in self.context.running():
                group.create_task(each)
            for controller in self.controllers:
                group.create_task(controller.run(), name=controller.name)

    def not_synced(self) -> str | None:
        """None once everything is known that the controllers look at, else what is not."""
        waiting = [name for name, informer in self.context.informers.items() if not informer.synced.is_set()]
        return f"not listed yet: {', '.join(waiting)}" if waiting else None

    def not_connected(self) -> str | None:
        """None while all watches are open, else the first trouble."""
        for name, informer in self.context.informers.items():
            if not informer.connected and informer.last_error:
                return f"{name}: {informer.last_error}"
        return None


def _full_name(name: str) -> str | None:
    for candidate in (name, f"{name}-controller"):
        if candidate in FACTORIES:
            return candidate
    return None
