"""The objects every cluster has from its start: its DNS as a Service, and addresses for load balancers."""

from __future__ import annotations

from clusterip.client.errors import ApiError
from clusterip.client.rest import Client
from clusterip.cluster.config import ClusterConfig
from clusterip.controllers.loadbalancer import pools
from clusterip.objects.core.configmap import ConfigMap
from clusterip.objects.core.service import Service, ServicePort, ServiceSpec
from clusterip.objects.discovery.endpointslice import (
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from clusterip.objects.meta import Object, ObjectMeta

NAMESPACE = "kube-system"
DNS_NAME = "kube-dns"  # what clients of any cluster look for, whatever serves it
DNS_LABELS = {
    "k8s-app": "kube-dns",
    "kubernetes.io/cluster-service": "true",
    "kubernetes.io/name": "CoreDNS",
}


def dns_service(config: ClusterConfig) -> Service:
    """``kube-system/kube-dns``. It has no selector: the DNS servers are no Pods but parts of the nodes."""
    return Service(
        metadata=ObjectMeta(name=DNS_NAME, namespace=NAMESPACE, labels=DNS_LABELS),
        spec=ServiceSpec(
            clusterIP=str(config.dns_address),
            ports=[
                ServicePort(name="dns", protocol="UDP", port=53, targetPort=53),
                ServicePort(name="dns-tcp", protocol="TCP", port=53, targetPort=53),
            ],
        ),
    )


def dns_endpoints(config: ClusterConfig) -> EndpointSlice:
    """The DNS servers of all nodes."""
    return EndpointSlice(
        metadata=ObjectMeta(
            name=DNS_NAME,
            namespace=NAMESPACE,
            labels={
                "kubernetes.io/service-name": DNS_NAME,
                "endpointslice.kubernetes.io/managed-by": "clusterip",
            },
        ),
        addressType="IPv4",
        endpoints=[
            Endpoint(
                addresses=[str(config.address_of(node))],
                conditions=EndpointConditions(ready=True, serving=True, terminating=False),
                nodeName=node,
            )
            for node in config.node_names
        ],
        ports=[
            EndpointPort(name="dns", protocol="UDP", port=53),
            EndpointPort(name="dns-tcp", protocol="TCP", port=53),
        ],
    )


def load_balancer_pools(config: ClusterConfig) -> ConfigMap:
    """One pool: of the network that the machine and the nodes are on."""
    first, last = config.load_balancer_addresses
    ranges = [f"{first}-{last}"]
    if config.ipv6 is not None:
        ranges.append("{}-{}".format(*config.ipv6.load_balancer_addresses))
    return ConfigMap(
        metadata=ObjectMeta(name=pools.NAME, namespace=pools.NAMESPACE),
        data={"machine": f"addresses: [{', '.join(ranges)}]\n"},
    )


async def create_objects(client: Client, config: ClusterConfig) -> None:
    """Create what is not there yet; what is there, and perhaps changed since, stays."""
    wanted: list[Object] = [dns_service(config), dns_endpoints(config), load_balancer_pools(config)]
    for obj in wanted:
        try:
            # Asked for first: a Service's address would be refused as taken before its name is.
            await client.get(type(obj), obj.metadata.name, NAMESPACE)
        except ApiError as error:
            if not error.is_not_found:
                raise
            await client.create(obj)
