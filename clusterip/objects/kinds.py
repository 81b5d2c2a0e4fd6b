"""Importing this module registers every kind. The order is that of ``kubectl api-resources``."""

from clusterip.objects.apps import controllerrevision, daemonset, deployment, replicaset, statefulset
from clusterip.objects.authentication import reviews as authentication_reviews
from clusterip.objects.authorization import reviews as authorization_reviews
from clusterip.objects.certificates import request as certificatesigningrequest
from clusterip.objects.coordination import lease
from clusterip.objects.core import (
    binding,
    configmap,
    endpoints,
    event,
    namespace,
    node,
    pod,
    replicationcontroller,
    secret,
    service,
    serviceaccount,
)
from clusterip.objects.discovery import endpointslice
from clusterip.objects.events import event as events_event
from clusterip.objects.networking import ingress, ingressclass, ipaddress, networkpolicy, servicecidr
from clusterip.objects.policy import poddisruptionbudget
from clusterip.objects.rbac import clusterrole, clusterrolebinding, role, rolebinding

__all__ = [
    "authentication_reviews",
    "authorization_reviews",
    "binding",
    "certificatesigningrequest",
    "clusterrole",
    "clusterrolebinding",
    "configmap",
    "controllerrevision",
    "daemonset",
    "deployment",
    "endpoints",
    "endpointslice",
    "event",
    "events_event",
    "ingress",
    "ingressclass",
    "ipaddress",
    "lease",
    "namespace",
    "networkpolicy",
    "node",
    "pod",
    "poddisruptionbudget",
    "replicaset",
    "replicationcontroller",
    "role",
    "rolebinding",
    "secret",
    "service",
    "serviceaccount",
    "servicecidr",
    "statefulset",
]
