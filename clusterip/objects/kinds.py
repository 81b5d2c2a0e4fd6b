"""Importing this module registers every kind. The order is that of ``kubectl api-resources``."""

from clusterip.objects.apps import deployment, replicaset
from clusterip.objects.coordination import lease
from clusterip.objects.core import (
    configmap,
    endpoints,
    event,
    namespace,
    node,
    pod,
    secret,
    service,
    serviceaccount,
)
from clusterip.objects.discovery import endpointslice
from clusterip.objects.networking import ipaddress, servicecidr

__all__ = [
    "configmap",
    "deployment",
    "endpoints",
    "endpointslice",
    "event",
    "ipaddress",
    "lease",
    "namespace",
    "node",
    "pod",
    "replicaset",
    "secret",
    "service",
    "serviceaccount",
    "servicecidr",
]
