"""Short ways to write objects that tests of pure functions want."""

from __future__ import annotations

from typing import Any

from clusterip.objects.apps.deployment import Deployment
from clusterip.objects.apps.replicaset import ReplicaSet
from clusterip.objects.codec import convert
from clusterip.objects.core.node import Node
from clusterip.objects.core.pod import Pod
from clusterip.objects.core.service import Service

CREATED = "2026-01-01T00:00:00Z"


def make_service(name: str = "svc", namespace: str = "ns", **spec: Any) -> Service:
    """A Service with one port and a selector, unless ``spec`` says otherwise."""
    ports = [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    base = {
        "selector": {"app": "web"},
        "clusterIP": "10.96.0.7",
        "ipFamilies": ["IPv4"],
        "ports": ports,
        "type": "ClusterIP",
    }
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": CREATED}
    return convert({"metadata": meta, "spec": {**base, **spec}}, Service)


def make_pod(
    name: str = "pod",
    ip: str = "10.244.1.2",
    *,
    namespace: str = "ns",
    ready: bool = True,
    node: str = "node-1",
    phase: str = "Running",
    deleting: bool = False,
    meta: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
) -> Pod:
    """A running, ready Pod with an address, unless told otherwise."""
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "labels": {"app": "web"},
        "creationTimestamp": CREATED,
        **({"deletionTimestamp": CREATED} if deleting else {}),
        **(meta or {}),
    }
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": CREATED}
    full_status = {
        "phase": phase,
        "podIP": ip,
        "podIPs": [{"ip": ip}] if ip else [],
        "conditions": [condition],
        **(status or {}),
    }
    full_spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}], **(spec or {})}
    return convert({"metadata": metadata, "spec": full_spec, "status": full_status}, Pod)


def make_node(
    name: str = "node-1",
    labels: dict[str, str] | None = None,
    *,
    ready: str = "True",
    allocatable: dict[str, str] | None = None,
    **spec: Any,
) -> Node:
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    status = {
        "conditions": conditions,
        "allocatable": allocatable or {"cpu": "4", "memory": "8Gi", "pods": "110"},
    }
    meta = {"name": name, "uid": f"uid-{name}", "labels": labels or {}, "creationTimestamp": CREATED}
    return convert({"metadata": meta, "spec": spec, "status": status}, Node)


def make_deployment(replicas: int = 3, **spec: Any) -> Deployment:
    base = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
    }
    meta = {"name": "web", "namespace": "ns", "uid": "uid-web", "generation": 1}
    return convert({"metadata": meta, "spec": {**base, **spec}}, Deployment)


def make_replica_set(
    name: str,
    replicas: int,
    *,
    available: int | None = None,
    created: str = CREATED,
    annotations: dict[str, str] | None = None,
    image: str = "i",
    status: dict[str, Any] | None = None,
) -> ReplicaSet:
    """A ReplicaSet that has as many Pods as it wants, ``available`` of them available."""
    count = replicas if available is None else available
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "creationTimestamp": created,
        "annotations": annotations or {},
        "generation": 1,
    }
    spec = {
        "replicas": replicas,
        "template": {
            "metadata": {"labels": {"app": "web", "pod-template-hash": name}},
            "spec": {"containers": [{"name": "c", "image": image}]},
        },
    }
    full_status = {
        "replicas": replicas,
        "readyReplicas": count,
        "availableReplicas": count,
        "observedGeneration": 1,
        **(status or {}),
    }
    return convert({"metadata": meta, "spec": spec, "status": full_status}, ReplicaSet)
