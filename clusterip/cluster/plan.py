"""Which processes make a cluster: the commands a person could type, and the sockets held for them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from clusterip.cluster import cgroups
from clusterip.cluster.certificates import Certificates
from clusterip.cluster.config import ClusterConfig
from clusterip.cluster.paths import Paths

COMMANDS = ("apiserver", "controllers", "node", "proxy", "dns")
"""The parts, in the order in which they are started."""

CONTROLLERS_PORT = 10257
NODE_PORT = 10248
PROXY_PORT = 10256
PROXY_METRICS_PORT = 10249
DNS_PORT = 8181
DNS_METRICS_PORT = 9153


class Socket(msgspec.Struct, frozen=True):
    """A listening socket at ``address`` (``HOST:PORT``) that outlives the process it is for.

    ``outside``: it is on the real machine, where the cluster is in one of its own.
    """

    kind: Literal["tcp", "udp"]
    address: str
    outside: bool = False


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A process: ``clusterip`` with ``arguments``, in a named network namespace (``""``: the machine's)
    and in a cgroup below the root of all (``""``: where the supervisor is).

    ``health`` is the URL that says whether it is ready.
    """

    name: str
    arguments: tuple[str, ...]
    namespace: str = ""
    cgroup: str = ""
    sockets: tuple[Socket, ...] = ()
    health: str
    log: str
    environment: dict[str, str] = {}

    @property
    def command(self) -> str:
        """The command, which is also the part: ``apiserver``, ``proxy``, ..."""
        return self.arguments[0]


class Plan(msgspec.Struct, frozen=True):
    """What a supervisor keeps running, in the order of starting.

    ``records`` is its file for what runs; once a file ``stopping`` exists it starts nothing any more.
    """

    programs: tuple[Program, ...]
    records: str
    stopping: str


def plan(config: ClusterConfig, paths: Paths, *, verbosity: int, loopback: bool = True) -> Plan:
    """The processes of a cluster."""
    programs = [_apiserver(config, paths, loopback), _controllers(config, paths)]
    for node in config.node_names:
        programs += [_node(config, paths, node), _proxy(config, paths, node), _dns(config, paths, node)]
    if verbosity:
        programs = [
            msgspec.structs.replace(program, arguments=(*program.arguments, f"--v={verbosity}"))
            for program in programs
        ]
    return Plan(tuple(programs), records=str(paths.processes), stopping=str(paths.stopping))


def _apiserver(config: ClusterConfig, paths: Paths, loopback: bool) -> Program:
    pki = Certificates(paths.pki)
    serving, kubelet = pki.pair("apiserver"), pki.pair("apiserver-kubelet-client")
    # An isolated machine's own loopback is among all its addresses; 127.0.0.1 is the real machine's.
    own = "0.0.0.0" if config.isolated else str(config.machine_address)
    sockets = [Socket("tcp", f"{own}:{config.api_port}")]
    if loopback:
        sockets.append(Socket("tcp", f"127.0.0.1:{config.api_port}", outside=config.isolated))
    return Program(
        name="apiserver",
        arguments=(
            "apiserver",
            f"--store=sqlite://{paths.database}",
            *(f"--bind-address={socket.address.rpartition(':')[0]}" for socket in sockets),
            f"--secure-port={config.api_port}",
            f"--advertise-address={config.machine_address}",
            f"--service-cluster-ip-range={config.service_cidrs}",
            f"--cert-dir={paths.pki}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={pki.authority.certificate}",
            f"--kubelet-client-certificate={kubelet.certificate}",
            f"--kubelet-client-key={kubelet.key}",
            f"--kubelet-certificate-authority={pki.authority.certificate}",
            f"--service-account-issuer=https://kubernetes.default.svc.{config.domain}",
            f"--service-account-signing-key-file={pki.signing_key}",
            f"--service-account-key-file={pki.signing_key_public}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--enable-bootstrap-token-auth=true",
        ),
        sockets=tuple(sockets),
        health=f"{config.api_url}/readyz",
        log=str(paths.log("apiserver")),
    )


def _controllers(config: ClusterConfig, paths: Paths) -> Program:
    # Not loopback, which all clusters on the machine share.
    health = f"{config.machine_address}:{CONTROLLERS_PORT}"
    pki = Certificates(paths.pki)
    return Program(
        name="controllers",
        arguments=(
            "controllers",
            f"--kubeconfig={paths.kubeconfig('controllers')}",
            f"--cluster-cidr={config.pod_cidrs}",
            f"--service-cluster-ip-range={config.service_cidrs}",
            f"--service-account-private-key-file={pki.signing_key}",
            f"--cluster-signing-cert-file={pki.authority.certificate}",
            f"--cluster-signing-key-file={pki.authority.key}",
            f"--healthz-bind-address={health}",
            # The supervisor runs one; another that takes over would have to wait for its lease to run out.
            "--leader-elect=false",
        ),
        health=f"http://{health}/readyz",
        log=str(paths.log("controllers")),
    )


def _node(config: ClusterConfig, paths: Paths, node: str) -> Program:
    pki = Certificates(paths.pki)
    serving = pki.pair(f"{node}-serving")
    address = config.address_of(node)
    return Program(
        name=f"node@{node}",
        arguments=(
            "node",
            f"--kubeconfig={paths.kubeconfig(node)}",
            f"--network-kubeconfig={paths.kubeconfig('network')}",
            f"--hostname-override={node}",
            f"--node-ip={','.join(config.addresses_of(node))}",
            f"--cluster-dns={config.dns_address}",
            f"--cluster-domain={config.domain}",
            f"--root-dir={paths.node(node)}",
            f"--image-dir={paths.images}",
            *([f"--cgroup-root={cgroup}"] if (cgroup := config.cgroup_of(node)) else []),
            "--no-ip-masq",  # the machine itself does that for all of them
            f"--client-ca-file={pki.authority.certificate}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--healthz-bind-address={address}:{NODE_PORT}",
        ),
        namespace=config.namespace_of(node),
        cgroup=config.cgroup_of(node),
        health=f"http://{address}:{NODE_PORT}/readyz",
        log=str(paths.log(f"node-{node}")),
    )


def _proxy(config: ClusterConfig, paths: Paths, node: str) -> Program:
    address = config.address_of(node)
    return Program(
        name=f"proxy@{node}",
        arguments=(
            "proxy",
            f"--kubeconfig={paths.kubeconfig('proxy')}",
            f"--hostname-override={node}",
            f"--cluster-cidr={config.pod_cidrs}",
            f"--proxy-mode={config.proxy_mode}",
            *([f"--ebpf-cgroup={cgroups.path_of(cgroup)}"] if (cgroup := config.cgroup_of(node)) else []),
            # A namespace cannot change how much the machine tracks.
            "--conntrack-max-per-core=0",
            # Asked by Pods on the host network and by load balancers, on whatever address they know.
            f"--healthz-bind-address=0.0.0.0:{PROXY_PORT}",
            f"--metrics-bind-address=0.0.0.0:{PROXY_METRICS_PORT}",
        ),
        namespace=config.namespace_of(node),
        cgroup=config.cgroup_of(node),
        health=f"http://{address}:{PROXY_PORT}/readyz",
        log=str(paths.log(f"proxy-{node}")),
    )


def _dns(config: ClusterConfig, paths: Paths, node: str) -> Program:
    address = config.address_of(node)
    return Program(
        name=f"dns@{node}",
        arguments=(
            "dns",
            f"--kubeconfig={paths.kubeconfig('dns')}",
            f"--bind={address}:53",
            f"--cluster-domain={config.domain}",
            f"--healthz-bind-address={address}:{DNS_PORT}",
            f"--metrics-bind-address={address}:{DNS_METRICS_PORT}",
        ),
        namespace=config.namespace_of(node),
        cgroup=config.cgroup_of(node),
        sockets=(Socket("udp", f"{address}:53"), Socket("tcp", f"{address}:53")),
        health=f"http://{address}:{DNS_PORT}/readyz",
        log=str(paths.log(f"dns-{node}")),
    )


def write(path: Path, plan: Plan) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n")


def read(path: Path) -> Plan:
    """Raises FileNotFoundError if no cluster was started."""
    return msgspec.json.decode(path.read_bytes(), type=Plan)
