"""An operator as people write them with kopf: a Service for every ConfigMap with the label ``serve``."""

from __future__ import annotations

from typing import Any

import kopf
import kubernetes

SERVED = {"serve": kopf.PRESENT}


@kopf.on.login()
def login(**arguments: Any) -> Any:
    kubernetes.config.load_kube_config()
    return kopf.login_via_client(**arguments)


@kopf.on.create("", "v1", "configmaps", labels=SERVED)
def create(body: Any, name: str, namespace: str, **_: Any) -> dict[str, int]:
    port = int(body["data"]["port"])
    service = {"metadata": {"name": name}, "spec": {"ports": [{"port": port}]}}
    kopf.adopt(service)
    kubernetes.client.CoreV1Api().create_namespaced_service(namespace, service)
    kopf.info(body, reason="Served", message=f"on port {port}")
    return {"port": port}


@kopf.on.update("", "v1", "configmaps", labels=SERVED, field="data.port")
def update(new: str, name: str, namespace: str, **_: Any) -> None:
    api = kubernetes.client.CoreV1Api()
    service = api.read_namespaced_service(name, namespace)
    service.spec.ports[0].port = int(new)
    api.replace_namespaced_service(name, namespace, service)


@kopf.on.delete("", "v1", "configmaps", labels=SERVED)
def delete(name: str, namespace: str, **_: Any) -> None:
    kubernetes.client.CoreV1Api().delete_namespaced_service(name, namespace)
