"""Services of type LoadBalancer on a bare machine: an address that anybody on the network reaches."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable

from tests.support.cluster import TestCluster

SECONDS = 20.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.1)


def answer(address: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=1) as response:
            return str(response.read().decode()).strip()
    except OSError:
        return ""


def test_an_address_of_the_pool_is_announced(cluster: TestCluster, address: str) -> None:
    kubectl = cluster.kubectl
    outer = ("--name=outer", "--port=80", "--target-port=8080", "--type=LoadBalancer")
    kubectl("expose", "deployment", "my-app", *outer)

    def shown(path: str) -> str:
        return kubectl("get", "service", "outer", "-o", f"jsonpath={{{path}}}")

    def ingress() -> str:
        return shown(".status.loadBalancer.ingress[0].ip")

    def announcer() -> str:
        return shown(r".metadata.labels.clusterip\.local/announced-by")

    until(lambda: ingress() and announcer())
    first, last = cluster.config.load_balancer_addresses
    assert str(first) <= ingress() <= str(last)
    pods = {pod.split("/")[1] for pod in kubectl("get", "pods", "-l", "app=my-app", "-o", "name").split()}
    until(lambda: answer(ingress()) in pods)
    assert ingress() in kubectl("get", "service", "outer")

    # The node that announces it is taken out: another one takes over.
    before = announcer()
    kubectl("label", "node", before, "node.kubernetes.io/exclude-from-external-load-balancers=")
    until(lambda: announcer() not in ("", before))
    until(lambda: answer(ingress()) in pods)

    lost = ingress()
    kubectl("patch", "service", "outer", "-p", '{"spec":{"type":"ClusterIP"}}')
    until(lambda: not ingress() and not announcer())
    until(lambda: not answer(lost))
    kubectl("label", "node", before, "node.kubernetes.io/exclude-from-external-load-balancers-")
