"""What the controllers can be told. Names are those of kube-controller-manager's flags."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from clusterip.controllers.certificates.authority import Authority
from clusterip.controllers.leaderelection.settings import LeaderElection
from clusterip.process.jwt import Signer

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Options:
    """The controllers' settings.

    Attributes:
        kubeconfig: how to reach the API server; "" looks in the usual places.
        controllers: which to run: ``*`` for all that are on by default, ``name`` adds, ``-name`` removes.
        cluster_cidrs: the networks that nodes get their Pod networks from, at most one a family.
        node_cidr_mask_sizes: the prefix length of a node's Pod network, by IP version (4 and 6).
        allocate_node_cidrs: whether nodes get Pod networks.
        service_cluster_ip_ranges: where ClusterIPs come from; no node gets any of these.
        max_endpoints_per_slice: how many endpoints an EndpointSlice may have.
        endpoint_updates_batch_period: seconds that changes of Pods are collected for before a Service's
            Endpoints are written; None: the longer the more Pods it has, none for up to a hundred.
        endpointslice_updates_batch_period: the same for its EndpointSlices.
        node_monitor_grace_period: seconds without a sign of life after which a node counts as gone.
        terminated_pod_gc_threshold: how many Pods that have ended are kept.
        root_ca: the certificates (PEM) that Pods check the API server with; "" publishes none.
        token_signer: what signs the tokens that lie in Secrets; None: those stay empty.
        signing_authority: the CA that signs requests for certificates; None: nobody does here.
        leader_election: how to compete with other processes for doing the work; None does it regardless.
        healthz_bind_address: where to tell about health, ``HOST:PORT``; "" nowhere.
        metrics_bind_address: where to serve metrics as well, if elsewhere.
    """

    kubeconfig: str = ""
    controllers: tuple[str, ...] = ("*",)
    cluster_cidrs: tuple[Network, ...] = ()
    node_cidr_mask_sizes: tuple[int, int] = (24, 64)
    allocate_node_cidrs: bool = True
    service_cluster_ip_ranges: tuple[Network, ...] = ()
    max_endpoints_per_slice: int = 100
    endpoint_updates_batch_period: float | None = None
    endpointslice_updates_batch_period: float | None = None
    node_monitor_grace_period: float = 40.0
    terminated_pod_gc_threshold: int = 12500
    root_ca: str = ""
    token_signer: Signer | None = None
    signing_authority: Authority | None = None
    leader_election: LeaderElection | None = None
    healthz_bind_address: str = "127.0.0.1:10257"
    metrics_bind_address: str = ""
