"""lightkube, as programs use it: models, generic methods, server-side apply."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from lightkube import ApiError, AsyncClient, Client, KubeConfig, codecs
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.core_v1 import (
    Container,
    LoadBalancerIngress,
    LoadBalancerStatus,
    PodSpec,
    PodTemplateSpec,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
)
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod, Service, ServiceAccount
from lightkube.types import OnErrorAction, OnErrorResult, PatchType

from tests.support.apiserver import RunningApiServer
from tests.support.cluster import TestCluster
from tests.support.nodes import eventually
from tests.support.outages import live_through_outages


@pytest.fixture
def client(apiserver: RunningApiServer, namespace: str) -> Client:
    """A client whose namespace is the test's own."""
    config = KubeConfig.from_file(str(apiserver.kubeconfig))
    return Client(config=config, namespace=namespace, field_manager="program")


@contextmanager
def refused(code: int, reason: str, message: str = "") -> Iterator[None]:
    with pytest.raises(ApiError) as raised:
        yield
    assert (raised.value.status.code, raised.value.status.reason) == (code, reason)
    assert message in raised.value.status.message


def service(name: str = "web", **labels: str) -> Service:
    spec = ServiceSpec(selector={"app": "web"}, ports=[ServicePort(port=80, targetPort=8080)])
    return Service(metadata=ObjectMeta(name=name, labels=labels), spec=spec)


def deployment(name: str, replicas: int = 1, image: str = "i") -> Deployment:
    pod = PodSpec(
        containers=[Container(name="main", image=image)],
        terminationGracePeriodSeconds=1,
    )
    return Deployment(
        metadata=ObjectMeta(name=name),
        spec=DeploymentSpec(
            replicas=replicas,
            selector=LabelSelector(matchLabels={"app": name}),
            template=PodTemplateSpec(metadata=ObjectMeta(labels={"app": name}), spec=pod),
        ),
    )


def test_create_read_update_delete(client: Client) -> None:
    created = client.create(service())
    assert created.spec is not None
    assert created.spec.clusterIP.startswith("10.96.")
    created.spec.ports[0].port = 81
    replaced = client.replace(created)
    assert replaced.spec.clusterIP == created.spec.clusterIP
    patched = client.patch(Service, "web", {"metadata": {"labels": {"a": "b"}}}, patch_type=PatchType.MERGE)
    assert patched.metadata.labels == {"a": "b"}
    with refused(409, "Conflict"):
        client.replace(created)
    client.delete(Service, "web")
    with refused(404, "NotFound"):
        client.get(Service, "web")


def test_lists_in_pages_by_labels_and_fields(client: Client) -> None:
    for number in range(5):
        client.create(ConfigMap(metadata=ObjectMeta(name=f"c{number}", labels={"odd": str(number % 2)})))
    names = [each.metadata.name for each in client.list(ConfigMap, labels={"odd": ["1"]}, chunk_size=1)]
    assert names == ["c1", "c3"]
    (found,) = client.list(ConfigMap, fields={"metadata.name": "c4"})
    assert found.metadata.labels == {"odd": "0"}
    client.deletecollection(ConfigMap)
    assert list(client.list(ConfigMap)) == []


def test_server_side_apply_with_two_owners(client: Client, apiserver: RunningApiServer) -> None:
    mine = ConfigMap(metadata=ObjectMeta(name="shared"), data={"a": "1"})
    client.apply(mine)
    other = Client(
        config=KubeConfig.from_file(str(apiserver.kubeconfig)),
        namespace=client.namespace,
        field_manager="other",
    )
    both = other.apply(ConfigMap(metadata=ObjectMeta(name="shared"), data={"b": "2"}))
    assert both.data == {"a": "1", "b": "2"}
    contested = ConfigMap(metadata=ObjectMeta(name="shared"), data={"a": "3", "b": "2"})
    with refused(409, "Conflict", 'conflict with "program"'):
        other.apply(contested)
    assert other.apply(contested, force=True).data == {"a": "3", "b": "2"}
    assert client.apply(ConfigMap(metadata=ObjectMeta(name="shared"), data={})).data == {"a": "3", "b": "2"}
    assert other.apply(ConfigMap(metadata=ObjectMeta(name="shared"))).data is None


def test_status_and_scale(client: Client) -> None:
    client.create(deployment("d"))
    scale = client.get(Deployment.Scale, "d")
    scale.spec = ScaleSpec(replicas=4)
    assert client.replace(scale, "d").spec.replicas == 4
    assert client.get(Deployment, "d").spec.replicas == 4
    client.create(service())
    balancer = LoadBalancerStatus(ingress=[LoadBalancerIngress(ip="192.0.2.1")])
    client.patch(Service, "web", {"spec": {"type": "LoadBalancer"}})
    status = Service.Status(metadata=ObjectMeta(name="web"), status=ServiceStatus(loadBalancer=balancer))
    patched = client.patch(Service.Status, "web", status, patch_type=PatchType.MERGE)
    assert patched.status.loadBalancer.ingress[0].ip == "192.0.2.1"
    assert client.get(Service, "web").spec.ports[0].port == 80


def test_dry_run_and_errors(client: Client) -> None:
    client.create(service(), dry_run=True)
    with refused(404, "NotFound"):
        client.get(Service, "web")
    with refused(422, "Invalid"):
        client.create(service("Not_A_Name"))


def test_from_yaml(client: Client) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"
    for each in codecs.load_all_yaml(text):
        client.create(each)
    assert client.get(ConfigMap, "c").data == {"a": "b"}


class Mirror:
    """Keeps the names of all ConfigMaps of a namespace, through anything."""

    def __init__(self, client: Client) -> None:
        self.names: set[str] = set()
        self._client = client
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                found = list(self._client.list(ConfigMap))
                self.names = {each.metadata.name for each in found}
                version = max((int(each.metadata.resourceVersion) for each in found), default=0)
                for event, each in self._client.watch(
                    ConfigMap, resource_version=str(version), on_error=self._on_error
                ):
                    change = self.names.discard if event == "DELETED" else self.names.add
                    change(each.metadata.name)
            except (httpx2.HTTPError, ApiError):
                self._stopped.wait(0.05)

    def _on_error(self, error: Exception, _count: int) -> OnErrorResult:
        """A watch goes on where it was; what it missed may be gone, and then it begins anew."""
        gone = isinstance(error, ApiError) and error.status.code == 410
        return OnErrorResult(OnErrorAction.RAISE if gone else OnErrorAction.RETRY, sleep=0.05)

    def stop(self) -> None:
        self._stopped.set()


def test_a_watch_lives_through_outages(own_apiserver: RunningApiServer) -> None:
    config = KubeConfig.from_file(str(own_apiserver.kubeconfig))
    mirror = Mirror(Client(config=config, namespace="default"))
    mirror.thread.start()
    live_through_outages(own_apiserver, lambda: mirror.names)
    mirror.stop()


@pytest.fixture(scope="module")
def pods(cluster: TestCluster) -> Client:
    """A client of a cluster that runs Pods."""
    client = Client(config=KubeConfig.from_file(str(cluster.paths.admin_kubeconfig)), namespace="lightkube")
    client.create(Namespace(metadata=ObjectMeta(name="lightkube")))
    for _event, account in client.watch(ServiceAccount, fields={"metadata.name": "default"}):
        if account.metadata.name == "default":
            break
    return client


def test_a_program_deploys_waits_reads_and_runs_commands(pods: Client) -> None:
    pods.apply(deployment("web", 2, "clusterip.local/echo"), field_manager="program")
    pods.wait(Deployment, "web", for_conditions=["Available"])
    found = list(pods.list(Pod, labels={"app": "web"}))
    assert len(found) == 2
    name = found[0].metadata.name
    assert next(iter(pods.log(name, follow=True))) == f"{name} answers on port 8080\n"
    pods.create(
        Pod(
            metadata=ObjectMeta(name="shell"),
            spec=PodSpec(
                containers=[Container(name="main", image="clusterip.local/host", command=["sleep", "1000"])],
                terminationGracePeriodSeconds=1,
            ),
        )
    )
    pods.wait(Pod, "shell", for_conditions=["Ready"])
    script = "cat; echo warned >&2; exit 3"
    done = pods.exec("shell", command=["sh", "-c", script], stdin="typed\n", stdout=True, stderr=True)
    assert (done.exit_code, done.stdout, done.stderr) == (3, "typed\n", "warned\n")
    # lightkube's HTTP library leaves a thread that still reads; it would take the next connection's data.
    eventually(lambda: not any("ThreadPoolExecutor" in thread.name for thread in threading.enumerate()))
    collected = io.BytesIO()
    done = pods.exec("shell", command=["head", "-c", "5000000", "/dev/zero"], stdout=collected)
    assert (done.exit_code, len(collected.getvalue())) == (0, 5_000_000)


def test_the_asynchronous_client_follows_a_log(cluster: TestCluster, pods: Client) -> None:
    pods.create(
        Pod(
            metadata=ObjectMeta(name="counting"),
            spec=PodSpec(
                restartPolicy="Never",
                containers=[
                    Container(
                        name="main",
                        image="clusterip.local/host",
                        command=["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"],
                    )
                ],
            ),
        )
    )

    async def follow() -> list[str]:
        config = KubeConfig.from_file(str(cluster.paths.admin_kubeconfig))
        async with AsyncClient(config=config, namespace="lightkube") as client:
            await client.wait(Pod, "counting", for_conditions=["PodScheduled"])
            async for _event, pod in client.watch(Pod, fields={"metadata.name": "counting"}):
                if pod.status.phase in ("Running", "Succeeded"):
                    break
            return [line async for line in client.log("counting", follow=True)]

    assert asyncio.run(follow()) == ["1\n", "2\n", "3\n"]
