"""The manifests that take CoreDNS's place: as an API server takes them, and what they run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.rcode
import pytest
import yaml
from test_dns_process import DnsProcess, create_service, full, until

from clusterip.cli.dns import command
from clusterip.dns.config.corefile import parse_corefile
from clusterip.dns.config.servers import build
from tests.support.apiserver import RunningApiServer, running_apiserver

DEPLOY = Path(__file__).parents[3] / "deploy"
MANIFESTS = ("dns.yaml", "dns-node-local.yaml")
# What kubeadm writes for CoreDNS 1.13, but its ports and name servers.
KUBEADM = """\
.:{port} {{
    errors
    health 127.0.0.1:{health} {{
       lameduck 5s
    }}
    ready 127.0.0.1:{health}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus 127.0.0.1:{health}
    forward . 192.0.2.1 {{
       max_concurrent 1000
    }}
    cache 30 {{
       disable success cluster.local
       disable denial cluster.local
    }}
    loop
    reload
    loadbalance
    bind 127.0.0.1
}}
"""


def objects(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def find(name: str, kind: str) -> dict[str, Any]:
    return next(each for each in objects(name) if each["kind"] == kind)


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[RunningApiServer]:
    with running_apiserver(tmp_path) as server:
        yield server


def path_of(obj: dict[str, Any]) -> str:
    version, kind = obj["apiVersion"], obj["kind"]
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    namespace = obj["metadata"].get("namespace")
    return f"{root}/{f'namespaces/{namespace}/' if namespace else ''}{kind.lower()}s"


def test_an_api_server_takes_them_as_they_are(apiserver: RunningApiServer) -> None:
    apiserver.request("POST", "/api/v1/namespaces", {"metadata": {"name": "kube-system"}})
    for name in MANIFESTS:
        for obj in objects(name):
            code, answer = apiserver.request("POST", path_of(obj) + "?fieldValidation=Strict", obj)
            assert code == 201, (obj["kind"], answer)


@pytest.mark.parametrize(("name", "kind"), [("dns.yaml", "Deployment"), ("dns-node-local.yaml", "DaemonSet")])
def test_the_command_line_is_understood(name: str, kind: str) -> None:
    pod = find(name, kind)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][0] == "dns"
    command.make_context("dns", container["args"][1:])
    variables = {each["name"] for each in container["env"]}
    assert set(re.findall(r"\$\((\w+)\)", " ".join(container["args"]))) <= variables
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert any(argument.startswith(f"--conf={path}/") for argument in container["args"] for path in mounted)


def test_the_corefile_of_the_nodes_is_understood() -> None:
    text = find("dns-node-local.yaml", "ConfigMap")["data"]["Corefile"]
    config = build(parse_corefile(text, "Corefile")[0])
    (server,) = config.servers
    pod = find("dns-node-local.yaml", "DaemonSet")["spec"]["template"]["spec"]
    for probe, address in (("livenessProbe", config.health), ("readinessProbe", config.ready)):
        get = pod["containers"][0][probe]["httpGet"]
        assert address == (f"{get['host']}:{get['port']}",)
    assert server.bind == ("169.254.20.10",)


def test_the_service_in_front_finds_the_pods() -> None:
    """The selector of kubeadm's Service kube-dns; two owners of Pods must not claim each other's."""
    deployment = find("dns.yaml", "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert labels["k8s-app"] == "kube-dns"
    assert "k8s-app" not in deployment["selector"]["matchLabels"]
    assert deployment["selector"]["matchLabels"].items() <= labels.items()


def kubeconfig_of(apiserver: RunningApiServer, account: str, path: Path) -> Path:
    """For a service account, with a token of its own."""
    where = f"/api/v1/namespaces/kube-system/serviceaccounts/{account}/token"
    code, made = apiserver.request("POST", where, {"spec": {"expirationSeconds": 3600}})
    assert code == 201, made
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": apiserver.url, "certificate-authority": str(apiserver.ca_file)},
            }
        ],
        "users": [{"name": "u", "user": {"token": made["status"]["token"]}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_rights_are_enough_and_no_more(tmp_path: Path) -> None:
    """An API server that asks whether somebody may; all that a Corefile can make the server ask for."""
    with running_apiserver(tmp_path, "--authorization-mode=Node,RBAC") as guarded:
        guarded.request("POST", "/api/v1/namespaces", {"metadata": {"name": "kube-system"}})
        for obj in objects("dns.yaml"):
            assert guarded.request("POST", path_of(obj), obj)[0] == 201
        address = create_service(guarded, "web")
        kubeconfig = kubeconfig_of(guarded, "clusterip-dns", tmp_path / "of-dns")
        server = DnsProcess(kubeconfig, tmp_path / "dns.log")
        try:
            path = tmp_path / "Corefile"
            text = KUBEADM.format(port=server.port, health=server.health)
            path.write_text(text.replace("pods insecure", "pods verified"))
            server.start("--conf", str(path))
            until(lambda: server.get("/ready")[0] == 200)
            assert server.addresses(full("web")) == [address]
        finally:
            server.close()
    rules = find("dns.yaml", "ClusterRole")["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list", "watch"}


def test_kubeadms_corefile_runs_as_it_is(apiserver: RunningApiServer, tmp_path: Path) -> None:
    server = DnsProcess(apiserver.kubeconfig, tmp_path / "dns.log")
    try:
        address = create_service(apiserver, "web")
        path = tmp_path / "Corefile"
        path.write_text(KUBEADM.format(port=server.port, health=server.health))
        server.start("--conf", str(path))
        until(lambda: server.get("/ready")[0] == 200)
        assert server.addresses(full("web")) == [address]
        assert server.ask(full("nope")).rcode() == dns.rcode.NXDOMAIN
        assert server.get("/health") == (200, "OK")
    finally:
        server.close()
