"""Controllers that keep roles, tokens and accounts, under the rights that a cluster gives them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from clusterip.client.rest import Client
from clusterip.objects.core.configmap import ConfigMap
from clusterip.objects.core.secret import Secret
from clusterip.objects.core.serviceaccount import ServiceAccount
from clusterip.objects.meta import ObjectMeta
from clusterip.objects.rbac.clusterrole import ClusterRole
from clusterip.objects.rbac.rules import PolicyRule
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.controllers import RunningControllers, client_of, eventually, run
from tests.support.kubectl import Kubectl

MANAGER = "manager-token"


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApiServer]:
    directory = tmp_path_factory.mktemp("access")
    # What is not switched off counts as chosen: the plugin ServiceAccount is on.
    arguments = ["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"]
    tokens = [f"{MANAGER},system:kube-controller-manager,manager"]
    with running_apiserver(directory, *arguments, "--enable-bootstrap-token-auth", tokens=tokens) as server:
        yield server


@pytest.fixture(scope="module")
def controllers(apiserver: RunningApiServer) -> Iterator[RunningControllers]:
    """As the user that a cluster's controllers are."""
    config = yaml.safe_load(apiserver.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": MANAGER}
    kubeconfig = apiserver.directory / "controllers.yaml"
    kubeconfig.write_text(yaml.safe_dump(config))
    key = apiserver.directory / "pki" / "sa.key"
    running = RunningControllers(
        kubeconfig, apiserver.directory / "controllers.log", f"--service-account-private-key-file={key}"
    )
    running.start()
    yield running
    assert running.stop() == 0
    log = running.log.read_text()
    assert "forbidden" not in log, log


@pytest.fixture
async def client(apiserver: RunningApiServer, controllers: RunningControllers) -> AsyncIterator[Client]:
    async with client_of(apiserver.kubeconfig) as client:
        yield client


def role(name: str, resource: str, **metadata: Any) -> ClusterRole:
    rule = PolicyRule(verbs=["get"], apiGroups=["example.com"], resources=[resource])
    return ClusterRole(metadata=ObjectMeta(name=name, **metadata), rules=[rule])


def resources_of(roles: list[ClusterRole], name: str) -> set[str]:
    found = next((role for role in roles if role.metadata.name == name), None)
    return {resource for rule in found.rules for resource in rule.resources} if found else set()


async def test_roles_made_of_others(client: Client, kubectl: Kubectl) -> None:
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    await client.create(role("widget-viewer", "widgets", labels=labels))
    # By way of view to edit, and of edit to admin.
    for name in ("view", "edit", "admin"):
        await eventually(client, ClusterRole, lambda found, n=name: "widgets" in resources_of(found, n))
    aggregation = {"clusterRoleSelectors": [{"matchLabels": {"for": "gadgets"}}]}
    own = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    mine = {**own, "metadata": {"name": "mine"}, "aggregationRule": aggregation, "rules": []}
    await run(kubectl, "apply", "-f", "-", stdin=yaml.safe_dump(mine))
    await client.create(role("gadgets", "gadgets", labels={"for": "gadgets"}))
    await client.create(role("more", "more-gadgets", labels={"for": "gadgets"}))
    both = {"gadgets", "more-gadgets"}
    await eventually(client, ClusterRole, lambda found: resources_of(found, "mine") == both)
    await client.delete(ClusterRole, "gadgets")
    await eventually(client, ClusterRole, lambda found: resources_of(found, "mine") == {"more-gadgets"})
    await client.delete(ClusterRole, "widget-viewer")
    await eventually(client, ClusterRole, lambda found: "widgets" not in resources_of(found, "admin"))


async def test_tokens_in_secrets(client: Client, apiserver: RunningApiServer, namespace: str) -> None:
    await client.create(ServiceAccount(metadata=ObjectMeta(name="robot", namespace=namespace)))
    annotations = {"kubernetes.io/service-account.name": "robot"}
    meta = ObjectMeta(name="robots", namespace=namespace, annotations=annotations)
    await client.create(Secret(metadata=meta, type="kubernetes.io/service-account-token"))
    [secret] = await eventually(client, Secret, lambda found: found and "token" in found[0].data, namespace)
    assert base64.b64decode(secret.data["namespace"]).decode() == namespace
    assert b"BEGIN CERTIFICATE" in base64.b64decode(secret.data["ca.crt"])
    assert secret.metadata.annotations["kubernetes.io/service-account.uid"]
    headers = {"Authorization": f"Bearer {base64.b64decode(secret.data['token']).decode()}"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    code, review = apiserver.request("POST", path, {}, **headers)
    assert (code, review["status"]["userInfo"]["username"]) == (
        201,
        f"system:serviceaccount:{namespace}:robot",
    )
    await client.delete(ServiceAccount, "robot", namespace)
    await eventually(client, Secret, lambda found: not found, namespace)
    assert apiserver.request("POST", path, {}, **headers)[0] == 401


async def test_a_secret_for_nobody_goes(client: Client, namespace: str) -> None:
    annotations = {"kubernetes.io/service-account.name": "nobody"}
    meta = ObjectMeta(name="orphan", namespace=namespace, annotations=annotations)
    await client.create(Secret(metadata=meta, type="kubernetes.io/service-account-token"))
    await eventually(client, Secret, lambda found: not found, namespace)


async def test_bootstrap_tokens_go_when_they_end(client: Client) -> None:
    for name, seconds in (("short1", 1), ("longer", 3600)):
        end = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        data = {"token-id": name, "token-secret": "0123456789abcdef", "expiration": end}
        meta = ObjectMeta(name=f"bootstrap-token-{name}", namespace="kube-system")
        await client.create(Secret(metadata=meta, type="bootstrap.kubernetes.io/token", stringData=data))
    left = await eventually(client, Secret, lambda found: len(found) == 1, "kube-system")
    assert left[0].metadata.name == "bootstrap-token-longer"


async def test_what_every_namespace_has(client: Client, kubectl: Kubectl, namespace: str) -> None:
    await eventually(client, ServiceAccount, lambda found: found, namespace)
    [published] = await eventually(client, ConfigMap, lambda found: found, namespace)
    assert published.metadata.name == "kube-root-ca.crt"
    assert "kubernetes.io/description" in published.metadata.annotations
    await client.patch(ConfigMap, "kube-root-ca.crt", namespace, {"data": {"ca.crt": "no", "x": "y"}})
    await eventually(client, ConfigMap, lambda found: found[0].data == published.data, namespace)
    # A Pod may be created the moment its namespace is: its account is waited for.
    await run(kubectl, "create", "namespace", f"{namespace}-2")
    await run(kubectl, "run", "p", "--image=i", "-n", f"{namespace}-2")
