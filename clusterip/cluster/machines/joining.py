"""The objects that a cluster needs so that machines can join it: who may ask for what, and what to know."""

from __future__ import annotations

import asyncio

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.cluster.bootstrap import DNS_LABELS, DNS_NAME
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.machines.tokens import GROUP
from clusterip.controllers.certificates.recognizers import NODE_PARTS_RIGHT, SELF_NODE_SERVER
from clusterip.member import clusterinfo
from clusterip.member.clusterinfo import CA_KEY, SETTINGS_KEY, Settings
from clusterip.objects.certificates.types import GROUP as CERTIFICATES
from clusterip.objects.core.configmap import ConfigMap
from clusterip.objects.core.service import Service, ServicePort, ServiceSpec
from clusterip.objects.meta import Object, ObjectMeta
from clusterip.objects.rbac.clusterrole import ClusterRole
from clusterip.objects.rbac.clusterrolebinding import ClusterRoleBinding
from clusterip.objects.rbac.role import Role
from clusterip.objects.rbac.rolebinding import RoleBinding
from clusterip.objects.rbac.rules import GROUP as RBAC
from clusterip.objects.rbac.rules import PolicyRule
from clusterip.objects.rbac.subjects import RoleRef, Subject

_NODES = "system:nodes"
_UNAUTHENTICATED = "system:unauthenticated"
_REQUESTS = "certificatesigningrequests"
_RETRY_SECONDS = 0.2


ANOTHER_CA = (
    "the store holds a cluster of another CA. Copy ca.crt, ca.key, sa.key and sa.pub of its first server "
    "here and start with --pki-from and a fresh --data-dir, or use another --store"
)


async def create_objects(client: Client, settings: Settings, authority: bytes, server: str) -> None:
    """Create what is not there yet, trying until the API server answers.

    Raises:
        ClusterError: the cluster is one of other settings, or of another CA.
    """
    wanted = [
        *_public(settings, authority, server),
        *_rights(),
        dns_service(settings),
    ]
    for obj in wanted:
        while True:
            try:
                found = await _ensure(client, obj)
                break
            except (Unreachable, ApiError) as error:
                if isinstance(error, ApiError) and error.code not in (403, 404, 409, 429, 500, 503, 504):
                    raise ClusterError(f"{obj.kind} {obj.metadata.name}: {error}") from None
                await asyncio.sleep(_RETRY_SECONDS)
        if isinstance(found, ConfigMap) and isinstance(obj, ConfigMap):
            _compare(found, obj)


async def _ensure(client: Client, obj: Object) -> Object:
    meta = obj.metadata
    try:
        # Asked for first: a Service's address would be refused as taken before its name is.
        return await client.get(type(obj), meta.name, meta.namespace)
    except ApiError as error:
        if not error.is_not_found:
            raise
    return await client.create(obj)


def _compare(found: ConfigMap, wanted: ConfigMap) -> None:
    if found.data.get(CA_KEY) != wanted.data[CA_KEY]:
        raise ClusterError(ANOTHER_CA)
    is_, should = found.data.get(SETTINGS_KEY, ""), wanted.data[SETTINGS_KEY]
    try:
        same = clusterinfo.decode(is_) == clusterinfo.decode(should)
    except ValueError:
        same = False
    if not same:
        raise ClusterError(
            f"the cluster was made with other settings: {is_}, and this server was started with {should}. "
            "Start it with the same options as the first"
        )


def _public(settings: Settings, authority: bytes, server: str) -> list[Object]:
    namespace, name = clusterinfo.NAMESPACE, clusterinfo.NAME
    reader = "clusterip:cluster-info"
    return [
        ConfigMap(
            metadata=ObjectMeta(name=name, namespace=namespace),
            data={
                CA_KEY: authority.decode(),
                SETTINGS_KEY: clusterinfo.encode(settings),
                "kubeconfig": clusterinfo.kubeconfig_of(authority, server),
            },
        ),
        Role(
            metadata=ObjectMeta(name=reader, namespace=namespace),
            rules=[PolicyRule(verbs=["get"], apiGroups=[""], resources=["configmaps"], resourceNames=[name])],
        ),
        RoleBinding(
            metadata=ObjectMeta(name=reader, namespace=namespace),
            roleRef=RoleRef(apiGroup=RBAC, kind="Role", name=reader),
            subjects=[_group(_UNAUTHENTICATED), _group("system:authenticated")],
        ),
    ]


def _rights() -> list[Object]:
    own = "clusterip:node-certificates"
    bootstrap = "system:certificates.k8s.io:certificatesigningrequests"
    return [
        ClusterRole(
            metadata=ObjectMeta(name=own),
            rules=[
                PolicyRule(verbs=["create"], apiGroups=[CERTIFICATES], resources=[f"{_REQUESTS}/{right}"])
                for right in (SELF_NODE_SERVER, NODE_PARTS_RIGHT)
            ],
        ),
        ClusterRole(
            metadata=ObjectMeta(name="clusterip:get-nodes"),
            rules=[PolicyRule(verbs=["get"], apiGroups=[""], resources=["nodes"])],
        ),
        _bound("clusterip:agents-ask-for-certificates", "system:node-bootstrapper", GROUP),
        _bound("clusterip:agents-get-certificates", f"{bootstrap}:nodeclient", GROUP),
        _bound("clusterip:agents-get-nodes", "clusterip:get-nodes", GROUP),
        _bound("clusterip:nodes-renew-certificates", f"{bootstrap}:selfnodeclient", _NODES),
        _bound("clusterip:nodes-get-certificates", own, _NODES),
    ]


def dns_service(settings: Settings) -> Service:
    """``kube-system/kube-dns``: the DNS server of the asking Pod's node, or another while that is away."""
    return Service(
        metadata=ObjectMeta(name=DNS_NAME, namespace="kube-system", labels=DNS_LABELS),
        spec=ServiceSpec(
            clusterIP=str(settings.dns_address),
            ports=[
                ServicePort(name="dns", protocol="UDP", port=53, targetPort=53),
                ServicePort(name="dns-tcp", protocol="TCP", port=53, targetPort=53),
            ],
            trafficDistribution="PreferSameNode",
        ),
    )


def _bound(name: str, role: str, group: str) -> ClusterRoleBinding:
    return ClusterRoleBinding(
        metadata=ObjectMeta(name=name),
        roleRef=RoleRef(apiGroup=RBAC, kind="ClusterRole", name=role),
        subjects=[_group(group)],
    )


def _group(name: str) -> Subject:
    return Subject(kind="Group", apiGroup=RBAC, name=name)
