"""The official Python client in programs that keep running: informers, streams, the dynamic client."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import websocket
import yaml
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError
from kubernetes.informer import SharedInformer
from kubernetes.stream import portforward, stream

from tests.support.apiserver import RunningApiServer
from tests.support.cluster import TestCluster
from tests.support.outages import live_through_outages

SERVER = Path(__file__).parents[1] / "support" / "pod_server.py"
EXAMPLE = Path(__file__).parents[2] / "examples" / "my-service.yaml"


def test_an_informer_lives_through_outages(own_apiserver: RunningApiServer) -> None:
    with kubernetes.config.new_client_from_config(str(own_apiserver.kubeconfig)) as client:
        informer = SharedInformer(CoreV1Api(client).list_namespaced_config_map, namespace="default")
        informer.start()
        try:
            live_through_outages(
                own_apiserver, lambda: {each.metadata.name for each in informer.cache.list()}
            )
        finally:
            own_apiserver.kill()  # ends the watch that its thread waits on
            informer.stop()


def test_the_dynamic_client(client: ApiClient, namespace: str) -> None:
    dynamic = DynamicClient(client)
    services = dynamic.resources.get(api_version="v1", kind="Service")
    body = {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "web"}}
    created = services.create(body={**body, "spec": {"ports": [{"port": 80}]}}, namespace=namespace)
    patch = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]}}
    content_type = "application/merge-patch+json"
    services.patch(name="web", body=patch, namespace=namespace, content_type=content_type)
    seen = []
    for event in services.watch(
        namespace=namespace, resource_version=created.metadata.resourceVersion, timeout=10
    ):
        seen.append((event["type"], [port.port for port in event["object"].spec.ports]))
        if event["type"] == "MODIFIED":
            services.delete(name="web", namespace=namespace)
        if event["type"] == "DELETED":
            break
    assert seen == [("MODIFIED", [80, 81]), ("DELETED", [80, 81])]
    with pytest.raises(NotFoundError):
        services.get(name="web", namespace=namespace)


def test_server_side_apply_with_the_dynamic_client(client: ApiClient, namespace: str) -> None:
    maps = DynamicClient(client).resources.get(api_version="v1", kind="ConfigMap")

    def apply(manager: str, data: dict[str, str], **options: Any) -> Any:
        body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}, "data": data}
        return maps.server_side_apply(body, namespace=namespace, field_manager=manager, **options)

    apply("one", {"a": "1"})
    with pytest.raises(ConflictError):
        apply("two", {"a": "2"})
    assert apply("two", {"a": "2"}, force_conflicts=True).data.to_dict() == {"a": "2"}


def test_a_manifest_of_several_objects(client: ApiClient, namespace: str) -> None:
    made = kubernetes.utils.create_from_yaml(client, str(EXAMPLE), namespace=namespace)
    kinds = {each.kind for group in made for each in group}
    assert kinds == {each["kind"] for each in yaml.safe_load_all(EXAMPLE.read_text())}


@pytest.fixture(scope="module")
def core(cluster: TestCluster) -> Iterator[CoreV1Api]:
    config = str(cluster.paths.admin_kubeconfig)
    with kubernetes.config.new_client_from_config(config) as client:
        yield CoreV1Api(client)


@pytest.fixture(scope="module")
def pod(core: CoreV1Api) -> str:
    """A Pod that runs, with a server on port 8000."""
    container = {
        "name": "main",
        "image": "clusterip.local/host",
        "command": ["sh", "-c", f"echo begun; exec python3 {SERVER} 8000"],
        "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
    }
    watch = kubernetes.watch.Watch()
    for event in watch.stream(core.list_namespaced_service_account, "default", timeout_seconds=30):
        if event["object"].metadata.name == "default":
            watch.stop()
    core.create_namespaced_pod(
        "default", {"metadata": {"name": "shell"}, "spec": {"containers": [container]}}
    )
    for event in watch.stream(core.list_namespaced_pod, "default", timeout_seconds=30):
        conditions = event["object"].status.conditions or []
        if any(each.type == "Ready" and each.status == "True" for each in conditions):
            watch.stop()
    return "shell"


def test_exec_at_once_and_interactively(core: CoreV1Api, pod: str) -> None:
    options = {"stderr": True, "stdin": False, "stdout": True, "tty": False}
    command = ["sh", "-c", "echo told"]
    said = stream(core.connect_get_namespaced_pod_exec, pod, "default", command=command, **options)
    assert said == "told\n"
    shell = stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        "default",
        command=["sh"],
        **{**options, "stdin": True},
        _preload_content=False,
    )
    shell.write_stdin("echo one\n")
    assert shell.readline_stdout(timeout=10) == "one"
    shell.write_stdin("echo two >&2\n")
    assert shell.readline_stderr(timeout=10) == "two"
    shell.write_stdin("exit 3\n")
    shell.run_forever(timeout=10)
    assert shell.returncode == 3


PROTOCOLS = ("channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io")
STATUS = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode"}


def connect(core: CoreV1Api, path: str, **headers: Any) -> websocket.WebSocket:
    """A WebSocket to the API, with the client's own credentials."""
    config = core.api_client.configuration
    return websocket.create_connection(
        config.host.replace("https", "wss") + path,
        timeout=20,
        sslopt={"ca_certs": config.ssl_ca_cert, "certfile": config.cert_file, "keyfile": config.key_file},
        **headers,
    )


@pytest.mark.parametrize("protocol", [None, *PROTOCOLS, *(f"base64.{each}" for each in PROTOCOLS[:1])])
def test_every_protocol_of_channels(core: CoreV1Api, pod: str, protocol: str | None) -> None:
    path = f"/api/v1/namespaces/default/pods/{pod}/exec?command=sh&stdin=true&stdout=1&stderr=true"
    connection = connect(core, path, subprotocols=[protocol] if protocol else None)
    assert connection.subprotocol == protocol
    in_base64 = (protocol or "").startswith("base64")
    command = b"echo told; echo warned >&2; exit 3\n"
    if in_base64:
        connection.send("0" + base64.b64encode(command).decode())
    else:
        connection.send_binary(b"\0" + command)
    said = {1: b"", 2: b"", 3: b""}
    while True:
        opcode, data = connection.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        channel = int(data[:1]) if in_base64 else data[0]
        said[channel] += base64.b64decode(data[1:]) if in_base64 else data[1:]
    assert (said[1], said[2]) == (b"told\n", b"warned\n")
    message = "command terminated with non-zero exit code: exit status 3"
    if protocol in PROTOCOLS[1:]:
        details = {"causes": [{"reason": "ExitCode", "message": "3"}]}
        assert json.loads(said[3]) == {**STATUS, "message": message, "details": details}
    else:
        assert said[3].decode() == message


def test_unknown_protocols_are_refused(core: CoreV1Api, pod: str) -> None:
    path = f"/api/v1/namespaces/default/pods/{pod}/exec?command=sh&stdout=1"
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        connect(core, path, subprotocols=["unheard.of"])
    assert refused.value.status_code == 403
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        connect(core, path.replace("&stdout=1", ""))
    assert refused.value.status_code == 400
    assert b"you must specify at least 1 of stdin, stdout, stderr" in refused.value.resp_body


def test_port_forward(core: CoreV1Api, pod: str) -> None:
    forward = portforward(core.connect_get_namespaced_pod_portforward, pod, "default", ports="8000")
    with contextlib.closing(forward.socket(8000)) as connection:
        connection.settimeout(10)
        connection.sendall(b"GET /path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while b"</a>" not in received:
            piece = connection.recv(4096)
            assert piece, received
            received += piece
    assert b'<a href="/x">/path</a>' in received
    refused = portforward(core.connect_get_namespaced_pod_portforward, pod, "default", ports="9")
    deadline = time.monotonic() + 10
    while refused.error(9) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "connection refused" in refused.error(9)


def test_proxy_and_logs(core: CoreV1Api, pod: str) -> None:
    path = "connect_get_namespaced_pod_proxy_with_path"
    answer = getattr(core, path)(f"{pod}:8000", "default", "below")
    assert answer == '<a href="/api/v1/namespaces/default/pods/shell:8000/proxy/x">/below</a>'
    watch = kubernetes.watch.Watch()
    for line in watch.stream(core.read_namespaced_pod_log, pod, "default", follow=True):
        assert line == "begun"
        watch.stop()
    assert core.read_namespaced_pod_log(pod, "default") == "begun\n"


def test_scale_status_and_eviction(core: CoreV1Api, pod: str) -> None:
    apps = AppsV1Api(core.api_client)
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "clusterip.local/echo"}]},
    }
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "replicas": 1}
    apps.create_namespaced_deployment("default", {"metadata": {"name": "d"}, "spec": spec})
    apps.patch_namespaced_deployment_scale("d", "default", {"spec": {"replicas": 2}})
    watch = kubernetes.watch.Watch()
    for event in watch.stream(apps.list_namespaced_deployment, "default", timeout_seconds=30):
        if event["object"].status.ready_replicas == 2:
            watch.stop()
    assert apps.read_namespaced_deployment_status("d", "default").status.ready_replicas == 2
    name = core.list_namespaced_pod("default", label_selector="a=b").items[0].metadata.name
    eviction = kubernetes.client.V1Eviction(metadata={"name": name})
    core.create_namespaced_pod_eviction(name, "default", eviction)
    assert core.read_namespaced_pod(name, "default").metadata.deletion_timestamp is not None
