"""Who may do what: roles, bindings and nodes, on a watch cache with the default policy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from clusterip.apiserver.admission.chain import Admission
from clusterip.apiserver.authn import User
from clusterip.apiserver.authz import AlwaysAllow, Authorizer, authorizer
from clusterip.apiserver.authz.decision import refusal
from clusterip.apiserver.authz.policy.reconcile import bootstrap_policy
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.router import RequestInfo, parse
from clusterip.objects.codec import convert
from clusterip.objects.core.namespace import NAMESPACES
from clusterip.objects.core.pod import PODS
from clusterip.objects.rbac.clusterrole import CLUSTERROLES
from clusterip.objects.rbac.clusterrolebinding import CLUSTERROLEBINDINGS
from clusterip.objects.rbac.role import ROLES
from clusterip.objects.rbac.rolebinding import ROLEBINDINGS
from clusterip.storage.sqlite import SQLiteStore

AUTHENTICATED = "system:authenticated"


class Cluster:
    """A store with objects, and an authorizer that looks at them."""

    def __init__(self, objects: Objects, modes: str) -> None:
        self.objects = objects
        self.authorizer: Authorizer = authorizer(modes, objects.cache)

    async def create(self, resource: Any, name: str, namespace: str = "", **fields: Any) -> None:
        tree = {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {"name": name, "namespace": namespace, **fields.pop("metadata", {})},
            **fields,
        }
        await self.objects.create(resource, namespace, convert(tree, resource.type))

    async def may(self, user: User, method: str, path: str) -> bool:
        await self.objects.cache.current()
        return self.authorizer.decide(user, parse(method, path)).allowed


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    store = await SQLiteStore.open(tmp_path / "db")
    cache = WatchCache(store)
    task = asyncio.create_task(cache.run())
    await cache.ready.wait()
    admission = Admission(cache, AlwaysAllow(), disable=["ServiceAccount"])
    objects = Objects(store, cache, admission, {})
    await bootstrap_policy(objects)
    made = Cluster(objects, "Node,RBAC")
    for namespace in ("default", "other"):
        await made.create(NAMESPACES, namespace)
    yield made
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await store.close()


def user(name: str, *groups: str) -> User:
    return User(name, groups=(*groups, AUTHENTICATED))


def subject(kind: str, name: str, namespace: str = "") -> dict[str, str]:
    group = "" if kind == "ServiceAccount" else "rbac.authorization.k8s.io"
    return {"kind": kind, "name": name, "namespace": namespace, "apiGroup": group}


def role_ref(kind: str, name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}


async def test_masters_may_everything(cluster: Cluster) -> None:
    admin = user("root", "system:masters")
    assert await cluster.may(admin, "DELETE", "/api/v1/nodes/n")
    assert await cluster.may(admin, "GET", "/metrics")


async def test_others_may_discover_and_ask_about_themselves(cluster: Cluster) -> None:
    jane = user("jane")
    for path in ("/api", "/apis/apps/v1", "/openapi/v3/apis/apps/v1", "/version"):
        assert await cluster.may(jane, "GET", path)
    assert await cluster.may(jane, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    assert not await cluster.may(jane, "GET", "/metrics")
    assert not await cluster.may(jane, "GET", "/api/v1/namespaces/default/pods")


async def test_a_role_counts_in_its_namespace(cluster: Cluster) -> None:
    rules = [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]}]
    await cluster.create(ROLES, "reader", "default", rules=rules)
    subjects = [subject("User", "jane"), subject("ServiceAccount", "bot")]
    await cluster.create(ROLEBINDINGS, "b", "default", subjects=subjects, roleRef=role_ref("Role", "reader"))
    for who in (user("jane"), user("system:serviceaccount:default:bot")):
        assert await cluster.may(who, "GET", "/api/v1/namespaces/default/pods")
        assert await cluster.may(who, "GET", "/api/v1/namespaces/default/pods/p/log")
        assert not await cluster.may(who, "GET", "/api/v1/namespaces/default/pods/p/exec")
        assert not await cluster.may(who, "GET", "/api/v1/namespaces/default/pods?watch=true")
        assert not await cluster.may(who, "GET", "/api/v1/namespaces/other/pods")
        assert not await cluster.may(who, "GET", "/api/v1/pods")
    await cluster.objects.update(ROLES, "default", "reader", _without_rules)
    assert not await cluster.may(user("jane"), "GET", "/api/v1/namespaces/default/pods")


def _without_rules(role: Any) -> Any:
    role.rules = []
    return role


async def test_resource_names_and_wildcards(cluster: Cluster) -> None:
    one = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["configmaps"], "resourceNames": ["mine"]}
    status = {"verbs": ["update"], "apiGroups": ["apps"], "resources": ["*/scale"]}
    await cluster.create(CLUSTERROLES, "r", rules=[one, status])
    await cluster.create(
        CLUSTERROLEBINDINGS, "b", subjects=[subject("Group", "devs")], roleRef=role_ref("ClusterRole", "r")
    )
    dev = user("jane", "devs")
    assert await cluster.may(dev, "DELETE", "/api/v1/namespaces/other/configmaps/mine")
    assert not await cluster.may(dev, "DELETE", "/api/v1/namespaces/other/configmaps/yours")
    assert not await cluster.may(dev, "GET", "/api/v1/namespaces/other/configmaps")
    assert await cluster.may(dev, "PUT", "/apis/apps/v1/namespaces/other/deployments/d/scale")
    assert not await cluster.may(dev, "PUT", "/apis/apps/v1/namespaces/other/deployments/d")


async def test_edit_has_what_is_aggregated_to_it(cluster: Cluster) -> None:
    await cluster.create(
        ROLEBINDINGS,
        "b",
        "default",
        subjects=[subject("User", "jane")],
        roleRef=role_ref("ClusterRole", "edit"),
    )
    jane = user("jane")
    assert await cluster.may(jane, "POST", "/api/v1/namespaces/default/services")
    assert await cluster.may(jane, "GET", "/apis/networking.k8s.io/v1/namespaces/default/ingresses")
    assert not await cluster.may(jane, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles")


def _elsewhere(pod: Any) -> Any:
    pod.spec.nodeName = "n2"
    return pod


def _back(pod: Any) -> Any:
    pod.spec.nodeName = "n1"
    return pod


async def test_nodes_read_what_their_pods_need(cluster: Cluster) -> None:
    node = user("system:node:n1", "system:nodes")
    mine, secret = "/api/v1/namespaces/default", "/api/v1/namespaces/default/secrets/s"
    assert await cluster.may(node, "PATCH", "/api/v1/nodes/n1/status")
    assert not await cluster.may(node, "GET", f"{mine}/secrets")
    assert not await cluster.may(node, "GET", secret)
    spec = {
        "nodeName": "n1",
        "serviceAccountName": "bot",
        "containers": [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "s"}}]}],
    }
    await cluster.create(PODS, "p", "default", spec=spec)
    assert await cluster.may(node, "GET", secret)
    assert await cluster.may(node, "GET", f"{mine}/secrets?watch=1&fieldSelector=metadata.name%3Ds")
    assert not await cluster.may(user("system:node:n2", "system:nodes"), "GET", secret)
    await cluster.objects.update(PODS, "default", "p", _elsewhere, subresource="binding")
    assert not await cluster.may(node, "GET", secret)
    await cluster.objects.update(PODS, "default", "p", _back, subresource="binding")
    assert await cluster.may(node, "POST", f"{mine}/serviceaccounts/bot/token")
    assert not await cluster.may(node, "POST", f"{mine}/serviceaccounts/root/token")
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    assert await cluster.may(node, "PUT", f"{leases}/n1")
    assert not await cluster.may(node, "PUT", f"{leases}/n2")


async def test_nodes_read_their_own_pods_and_themselves(cluster: Cluster) -> None:
    node, other = user("system:node:n1", "system:nodes"), user("system:node:n2", "system:nodes")
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]}
    await cluster.create(PODS, "p", "default", spec=spec)
    pods = "/api/v1/namespaces/default/pods"
    assert await cluster.may(node, "GET", f"{pods}/p")
    assert not await cluster.may(other, "GET", f"{pods}/p")
    assert await cluster.may(node, "GET", f"{pods}?watch=1&fieldSelector=metadata.name%3Dp")
    assert not await cluster.may(other, "GET", f"{pods}?watch=1&fieldSelector=metadata.name%3Dp")
    assert await cluster.may(node, "GET", "/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1")
    assert not await cluster.may(node, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%21%3Dn1")
    assert not await cluster.may(node, "GET", "/api/v1/pods")
    assert await cluster.may(node, "GET", "/api/v1/nodes?watch=1&fieldSelector=metadata.name%3Dn1")
    assert not await cluster.may(node, "GET", "/api/v1/nodes")
    assert not await cluster.may(node, "GET", "/api/v1/nodes/n2")
    assert not await cluster.may(node, "DELETE", "/api/v1/nodes/n1")
    assert not await cluster.may(node, "POST", f"{pods}/p/exec")


async def test_a_mirror_pod_gives_a_node_no_rights(cluster: Cluster) -> None:
    node = user("system:node:n1", "system:nodes")
    reference = [{"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "s"}}]}]
    annotations = {"kubernetes.io/config.mirror": "x"}
    spec = {"nodeName": "n1", "containers": reference}
    await cluster.create(PODS, "p", "default", metadata={"annotations": annotations}, spec=spec)
    assert not await cluster.may(node, "GET", "/api/v1/namespaces/default/secrets/s")


def test_refusals_read_like_upstreams() -> None:
    info = parse("GET", "/apis/apps/v1/namespaces/default/deployments/d/scale")
    assert refusal(user("jane"), info, "") == (
        'User "jane" cannot get resource "deployments/scale" in API group "apps" in the namespace "default"'
    )
    assert refusal(user("jane"), parse("DELETE", "/api/v1/nodes"), "why") == (
        'User "jane" cannot deletecollection resource "nodes" in API group "" at the cluster scope: why'
    )
    assert refusal(user("jane"), RequestInfo("GET", "/metrics", {}), "") == (
        'User "jane" cannot get path "/metrics"'
    )


def test_modes_that_do_not_exist(tmp_path: Path) -> None:
    for modes in ("Nonsense", "RBAC,RBAC", "ABAC"):
        with pytest.raises(ValueError, match="authorization mode"):
            authorizer(modes, None)  # type: ignore[arg-type]
