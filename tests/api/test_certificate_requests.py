"""Certificates asked for through the API: with kubectl by hand, and by nodes as far as roles let them."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clusterip.client.rest import Client
from clusterip.objects.certificates import CertificateSigningRequest as Request
from clusterip.objects.core.node import Node, NodeAddress, NodeStatus
from clusterip.objects.meta import ObjectMeta
from tests.support.apiserver import RunningApiServer, running_apiserver
from tests.support.controllers import RunningControllers, client_of, eventually
from tests.support.kubectl import Kubectl
from tests.support.pki import Authority

NODES = "system:nodes"
CLIENT = ["digital signature", "client auth"]
SERVER = ["digital signature", "server auth"]
BINDINGS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: joining}
rules:
- {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests/selfnodeserver], verbs: [create]}
- {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests/nodeparts], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: joining}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: joining}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:nodes"}]
"""

APPROVER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: approver}
rules:
- {apiGroups: [certificates.k8s.io], resources: [signers], resourceNames: [example.com/*], verbs: [approve]}
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def apiserver(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[RunningApiServer]:
    directory = tmp_path_factory.mktemp("csr")
    arguments = ["--authorization-mode=Node,RBAC", f"--client-ca-file={authority.certificate}"]
    tokens = [
        "manager,system:kube-controller-manager,manager",
        *(f'{node},system:node:{node},{node},"{NODES}"' for node in ("n1", "n2")),
        "joining,system:bootstrap:abcdef,j,system:bootstrappers",
        "viewer,viewer,v",
    ]
    with running_apiserver(directory, *arguments, tokens=tokens) as server:
        yield server


def kubeconfig_of(apiserver: RunningApiServer, token: str) -> Path:
    config = yaml.safe_load(apiserver.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = apiserver.directory / f"{token}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def controllers(apiserver: RunningApiServer, authority: Authority) -> Iterator[RunningControllers]:
    running = RunningControllers(
        kubeconfig_of(apiserver, "manager"),
        apiserver.directory / "controllers.log",
        f"--cluster-signing-cert-file={authority.certificate}",
        f"--cluster-signing-key-file={authority.directory / 'ca.key'}",
    )
    running.start()
    yield running
    assert running.stop() == 0
    log = running.log.read_text()
    assert "forbidden" not in log, log


@pytest.fixture
async def client(apiserver: RunningApiServer) -> AsyncIterator[Client]:
    async with client_of(apiserver.kubeconfig) as client:
        yield client


@pytest.fixture
def kubectl(apiserver: RunningApiServer, tmp_path: Path) -> Kubectl:
    return Kubectl(apiserver.kubeconfig, tmp_path)


def pkcs10(user: str, *groups: str, names: tuple[str, ...] = ()) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, user))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        general: list[x509.GeneralName] = []
        for name in names:
            try:
                general.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                general.append(x509.DNSName(name))
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return base64.b64encode(pem).decode()


def manifest(name: str, signer: str, usages: list[str], request: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"request": request, "signerName": signer, "usages": usages, **spec},
    }


def ask(apiserver: RunningApiServer, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    return apiserver.request("POST", path, body, Authorization=f"Bearer {token}")


def column(kubectl: Kubectl, name: str) -> list[str]:
    header, row = kubectl("get", "csr", name).splitlines()
    assert header.split() == ["NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"]
    return row.split()[2:]


def issued(request: Request) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(request.status.certificate))


async def until(client: Client, name: str, condition: Any) -> Request:
    found = await eventually(
        client, Request, lambda seen: any(r.metadata.name == name and condition(r) for r in seen)
    )
    return next(request for request in found if request.metadata.name == name)


async def test_by_hand(
    apiserver: RunningApiServer, controllers: RunningControllers, kubectl: Kubectl, client: Client
) -> None:
    """A person asks, approves and has the certificate; another request is denied."""
    signer = "kubernetes.io/kube-apiserver-client"
    wanted = manifest("jane", signer, ["client auth"], pkcs10("jane", "dev"), expirationSeconds=3600)
    wanted["spec"]["username"] = "somebody else"
    kubectl("create", "-f", "-", stdin=json.dumps(wanted))
    assert column(kubectl, "jane") == [signer, "admin", "60m", "Pending"]
    assert kubectl("certificate", "approve", "jane").endswith("jane approved\n")
    request = await until(client, "jane", lambda r: r.status.certificate)
    assert column(kubectl, "jane")[-1] == "Approved,Issued"
    certificate = issued(request)
    assert certificate.subject.rfc4514_string() == "CN=jane,O=dev"
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life.total_seconds() == 3600 + 300
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not basic.ca

    kubectl("create", "-f", "-", stdin=json.dumps(manifest("joe", signer, CLIENT, pkcs10("joe"))))
    kubectl("certificate", "deny", "joe")
    assert column(kubectl, "joe")[-1] == "Denied"
    assert "already Denied" in kubectl.fails("certificate", "approve", "joe")
    assert "Subject:" in kubectl("describe", "csr", "joe")

    # What is not of its kind is approved by a person and then refused by the signer.
    odd = manifest("odd", "kubernetes.io/kubelet-serving", SERVER, pkcs10("system:node:n1", NODES))
    kubectl("create", "-f", "-", stdin=json.dumps(odd))
    kubectl("certificate", "approve", "odd")
    await until(client, "odd", lambda r: any(c.type == "Failed" for c in r.status.conditions))
    assert column(kubectl, "odd")[-1] == "Approved,Failed"
    kubectl("delete", "csr", "jane", "joe", "odd")


async def test_nodes(
    apiserver: RunningApiServer,
    controllers: RunningControllers,
    kubectl: Kubectl,
    client: Client,
) -> None:
    """A machine that joins gets what it needs, and nothing that is another's."""
    kubectl(
        "create",
        "clusterrolebinding",
        "a",
        "--clusterrole=system:node-bootstrapper",
        "--group=system:bootstrappers",
    )
    prefix = "--clusterrole=system:certificates.k8s.io:certificatesigningrequests"
    kubectl("create", "clusterrolebinding", "b", f"{prefix}:nodeclient", "--group=system:bootstrappers")
    kubectl("create", "clusterrolebinding", "c", f"{prefix}:selfnodeclient", f"--group={NODES}")
    kubectl("apply", "-f", "-", stdin=BINDINGS)

    def asks(token: str, name: str, signer: str, usages: list[str], request: str) -> None:
        code, body = ask(apiserver, token, manifest(name, f"kubernetes.io/{signer}", usages, request))
        assert code == 201, body

    kubelet, client_signer = "kube-apiserver-client-kubelet", "kube-apiserver-client"
    asks("joining", "first", kubelet, CLIENT, pkcs10("system:node:n1", NODES))
    asks("n1", "renewed", kubelet, CLIENT, pkcs10("system:node:n1", NODES))
    asks("n1", "proxy", client_signer, CLIENT, pkcs10("system:kube-proxy"))
    for name in ("first", "renewed", "proxy"):
        request = await until(client, name, lambda r: r.status.certificate)
        assert request.status.conditions[0].reason == "AutoApproved"
    assert request.spec.username == "system:node:n1"

    # Serving certificates wait for the node, and are only for what nobody else has.
    asks(
        "n1", "serving", "kubelet-serving", SERVER, pkcs10("system:node:n1", NODES, names=("n1", "192.0.2.1"))
    )
    asks("n2", "stolen", "kubelet-serving", SERVER, pkcs10("system:node:n2", NODES, names=("192.0.2.1",)))
    asks("n2", "renamed", "kubelet-serving", SERVER, pkcs10("system:node:n2", NODES, names=("example.com",)))
    asks("n2", "other", kubelet, CLIENT, pkcs10("system:node:n1", NODES))
    asks("n2", "admin", client_signer, CLIENT, pkcs10("kubernetes-admin"))
    for name, address in (("n1", "192.0.2.1"), ("n2", "192.0.2.2")):
        status = NodeStatus(addresses=[NodeAddress(type="InternalIP", address=address)])
        await client.create(Node(metadata=ObjectMeta(name=name), status=status))
    await until(client, "serving", lambda r: r.status.certificate)
    asks("n2", "last", "kubelet-serving", SERVER, pkcs10("system:node:n2", NODES, names=("n2", "192.0.2.2")))
    await until(client, "last", lambda r: r.status.certificate)
    # One worker takes them one by one: those asked for before have been looked at.
    for name in ("stolen", "renamed", "other", "admin"):
        assert column(kubectl, name)[-1] == "Pending", name


def test_rights(apiserver: RunningApiServer, kubectl: Kubectl, tmp_path: Path) -> None:
    """Who may write ``approval`` must also be allowed to approve for the signer."""
    kubectl(
        "create",
        "clusterrole",
        "writer",
        "--verb=get,update,create",
        "--resource=csr,csr/approval,csr/status",
    )
    kubectl("create", "clusterrolebinding", "writer", "--clusterrole=writer", "--user=viewer")
    signer = "example.com/mine"
    kubectl("create", "-f", "-", stdin=json.dumps(manifest("mine", signer, CLIENT, pkcs10("x"))))
    viewer = Kubectl(kubeconfig_of(apiserver, "viewer"), tmp_path)
    assert f'not permitted to approve requests with signerName "{signer}"' in viewer.fails(
        "certificate", "approve", "mine"
    )
    kubectl("apply", "-f", "-", stdin=APPROVER)
    kubectl("create", "clusterrolebinding", "approver", "--clusterrole=approver", "--user=viewer")
    viewer("certificate", "approve", "mine")
    masters = manifest("m", "kubernetes.io/kube-apiserver-client", CLIENT, pkcs10("x", "system:masters"))
    code, body = ask(apiserver, "viewer", masters)
    assert code == 403
    assert "system:masters group is not allowed" in body["message"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"request": base64.b64encode(b"nothing").decode()}, "PEM block type must be CERTIFICATE REQUEST"),
        ({"usages": []}, "spec.usages: Required value"),
        ({"usages": ["client auth", "client auth"]}, "spec.usages[1]: Duplicate value"),
        ({"usages": ["fun"]}, 'spec.usages[0]: Unsupported value: "fun"'),
        ({"signerName": ""}, "spec.signerName: Required value"),
        ({"signerName": "x"}, "must be a fully qualified domain and path"),
        ({"signerName": "kubernetes.io/legacy-unknown"}, "the legacy signerName is not allowed"),
        ({"expirationSeconds": 599}, "may not specify a duration less than 600 seconds"),
    ],
)
def test_refused(apiserver: RunningApiServer, change: dict[str, Any], says: str) -> None:
    body = manifest("bad", "example.com/x", CLIENT, pkcs10("x"))
    body["spec"] |= change
    code, answer = ask(apiserver, apiserver.token, body)
    assert code == 422
    assert says in answer["message"]
