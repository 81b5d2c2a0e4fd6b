"""kr8s, as programs use it: objects that act, asynchronously."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import kr8s
import pytest
from kr8s.asyncio.objects import ConfigMap, Deployment, Namespace, Pod, Service

from tests.support.apiserver import RunningApiServer
from tests.support.cluster import TestCluster
from tests.support.outages import live_through_outages

pytestmark = pytest.mark.filterwarnings(
    "ignore:Kubernetes version .* is not supported"
)  # it knows older ones

SERVER = Path(__file__).parents[1] / "support" / "pod_server.py"


@pytest.fixture
async def api(apiserver: RunningApiServer, namespace: str) -> kr8s.asyncio.Api:
    """A client whose namespace is the test's own."""
    made = await kr8s.asyncio.api(kubeconfig=str(apiserver.kubeconfig), namespace=namespace)
    made.namespace = namespace
    return made


def service(namespace: str) -> dict[str, object]:
    return {
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }


def deployment(namespace: str, image: str = "clusterip.local/echo") -> dict[str, object]:
    labels = {"app": "web"}
    pod = {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": image}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "web", "namespace": namespace}, "spec": spec}


async def test_create_read_update_delete(api: kr8s.asyncio.Api, namespace: str) -> None:
    made = await Service(service(namespace), api=api)
    assert not await made.exists()
    await made.create()
    assert made.spec.clusterIP.startswith("10.96.")
    await made.patch({"spec": {"ports": [{"port": 81}]}}, type="merge")
    await made.patch([{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}], type="json")
    await made.label({"c": "d"})
    await made.annotate({"note": "x"})
    found = await Service.get("web", namespace=namespace, api=api)
    assert found.labels == {"a": "b", "c": "d"}
    assert (found.annotations["note"], found.spec.ports[0].port) == ("x", 81)
    assert [each.name async for each in Service.list(namespace=namespace, label_selector="a=b", api=api)] == [
        "web"
    ]
    await made.delete()
    await made.wait("delete", timeout=10)
    with pytest.raises(kr8s.NotFoundError):
        await Service.get("web", namespace=namespace, api=api)


async def test_errors_carry_the_server_s_words(api: kr8s.asyncio.Api, namespace: str) -> None:
    wrong = await ConfigMap({"metadata": {"name": "Not_A_Name", "namespace": namespace}}, api=api)
    with pytest.raises(kr8s.ServerError) as raised:
        await wrong.create()
    assert "a lowercase RFC 1123 subdomain" in str(raised.value)
    assert raised.value.response.status_code == 422


async def test_server_side_apply(api: kr8s.asyncio.Api, namespace: str) -> None:
    """kr8s leaves this to its low level, with the API's own requests."""

    async def apply(manager: str, data: dict[str, str], force: str = "false") -> dict[str, str]:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}
        async with api.call_api(
            "PATCH",
            version="v1",
            namespace=namespace,
            url="configmaps/c",
            params={"fieldManager": manager, "force": force},
            content=json.dumps(body),
            headers={"Content-Type": "application/apply-patch+yaml"},
        ) as response:
            found: dict[str, str] = response.json()["data"]
            return found

    assert await apply("one", {"a": "1"}) == {"a": "1"}
    assert await apply("two", {"b": "2"}) == {"a": "1", "b": "2"}
    with pytest.raises(kr8s.ServerError) as raised:
        await apply("two", {"a": "3"})
    assert "conflict" in str(raised.value)
    assert await apply("two", {"a": "3"}, "true") == {"a": "3"}


async def test_scale_and_discovery(api: kr8s.asyncio.Api, namespace: str) -> None:
    made = await Deployment(deployment(namespace), api=api)
    await made.create()
    await made.patch({"spec": {"replicas": 3}}, subresource="scale")
    await made.refresh()
    assert made.replicas == 3
    kinds = {each["name"] for each in await api.api_resources()}
    assert {"services", "endpointslices", "deployments", "leases"} <= kinds
    assert (await api.version())["major"] == "1"
    assert await api.whoami() == "admin"
    slices = [each async for each in api.get("endpointslices.discovery.k8s.io", namespace=namespace)]
    assert slices == []


class Mirror:
    """Keeps the names of all ConfigMaps of a namespace, through anything.

    kr8s goes on with a watch that the server ended, and leaves it to the program to begin anew.
    """

    def __init__(self, server: RunningApiServer) -> None:
        self.names: set[str] = set()
        self._kubeconfig = str(server.kubeconfig)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    async def _run(self) -> None:
        api = await kr8s.asyncio.api(kubeconfig=self._kubeconfig, namespace="default")
        while not self._stopped.is_set():
            try:
                async with api.call_api("GET", version="v1", namespace="default", url="configmaps") as answer:
                    listed = answer.json()
                self.names = {each["metadata"]["name"] for each in listed["items"]}
                since = listed["metadata"]["resourceVersion"]
                async for event, each in api.watch("configmaps", namespace="default", since=since):
                    change = self.names.discard if event == "DELETED" else self.names.add
                    change(each.name)
            except (httpx.HTTPError, kr8s.ServerError, kr8s.APITimeoutError):
                await asyncio.sleep(0.05)


def test_a_watch_lives_through_outages(own_apiserver: RunningApiServer) -> None:
    mirror = Mirror(own_apiserver)
    mirror.start()
    live_through_outages(own_apiserver, lambda: mirror.names)
    mirror.stop()


@pytest.fixture
async def pods(cluster: TestCluster) -> kr8s.asyncio.Api:
    """A client of a cluster that runs Pods."""
    api = await kr8s.asyncio.api(kubeconfig=str(cluster.paths.admin_kubeconfig), namespace="kr8s")
    api.namespace = "kr8s"
    namespace = await Namespace({"metadata": {"name": "kr8s"}}, api=api)
    if not await namespace.exists():
        await namespace.create()
        async for _event, account in api.watch("serviceaccounts", namespace="kr8s"):
            if account.name == "default":
                break
    return api


async def test_a_program_deploys_waits_and_scales(pods: kr8s.asyncio.Api) -> None:
    made = await Deployment(deployment("kr8s"), api=pods)
    await made.create()
    await made.wait("condition=Available", timeout=60)
    await made.scale(3)
    await made.wait("jsonpath='{.status.readyReplicas}'=3", timeout=60)
    (first, *others) = await made.pods()
    assert len(others) == 2
    await first.wait("condition=Ready", timeout=30)
    assert await anext(first.logs(follow=True)) == f"{first.name} answers on port 8080"
    await made.delete(propagation_policy="Foreground")
    await made.wait("delete", timeout=60)


@pytest.fixture
async def shell(pods: kr8s.asyncio.Api) -> AsyncIterator[Pod]:
    """A Pod that runs, with a server on port 8000."""
    command = ["sh", "-c", f"exec python3 {SERVER} 8000"]
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    container = {
        "name": "main",
        "image": "clusterip.local/host",
        "command": command,
        "readinessProbe": probe,
    }
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    pod = await Pod({"metadata": {"name": "shell", "namespace": "kr8s"}, "spec": spec}, api=pods)
    await pod.create()
    await pod.wait("condition=Ready", timeout=30)
    yield pod
    await pod.delete()
    await pod.wait("delete", timeout=30)


async def test_exec(shell: Pod) -> None:
    done = await shell.exec(["sh", "-c", "echo told; echo warned >&2; exit 3"], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"told\n", b"warned\n")
    assert (await shell.exec(["false"], check=False)).returncode == 1
    done = await shell.exec(["head", "-c", "3000000", "/dev/zero"])
    assert len(done.stdout) == 3_000_000


async def test_port_forward(shell: Pod) -> None:
    async with shell.portforward(remote_port=8000, local_port=None) as port, httpx.AsyncClient() as client:
        answers = await asyncio.gather(
            *(client.post(f"http://127.0.0.1:{port}/", content=b"x" * 100_000) for _ in range(20))
        )
    assert [len(each.content) for each in answers] == [100_000] * 20
