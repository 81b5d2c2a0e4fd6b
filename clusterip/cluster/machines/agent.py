"""``clusterip agent``: this machine as a node of a cluster whose servers are elsewhere."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from dataclasses import dataclass, field
from ipaddress import ip_address

import msgspec

from clusterip.client.config import Config
from clusterip.client.credentials import bearer
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.client.tls import Pem, Tls
from clusterip.cluster import machine
from clusterip.cluster.certificates import Pair
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.machines import foreground, kubeconfigs, layout
from clusterip.cluster.paths import Paths
from clusterip.cluster.plan import (
    DNS_METRICS_PORT,
    DNS_PORT,
    NODE_PORT,
    PROXY_METRICS_PORT,
    PROXY_PORT,
    Plan,
    Program,
    Socket,
)
from clusterip.cluster.readiness import is_ready
from clusterip.cluster.zygote import CommandLine
from clusterip.controllers.nodedns import LABEL as DNS_LABEL
from clusterip.member import identities, skew, state
from clusterip.member.discovery import Discovered, discover
from clusterip.member.errors import JoinError
from clusterip.member.files import Files, write
from clusterip.member.requests import obtain
from clusterip.member.state import Membership
from clusterip.node.register import KUBELET_VERSION
from clusterip.objects import names
from clusterip.objects.core.node import Node, NodeAddress, NodeStatus
from clusterip.objects.meta import ObjectMeta

_LOCAL = "127.0.0.1:6444"
_MEMBER_PORT = 10258
_NEW_COMMAND = "`clusterip token create` on a server prints a new join command"


@dataclass(frozen=True)
class Request:
    """What a person asked for. Once the machine has joined, only ``paths`` is needed."""

    paths: Paths
    servers: tuple[str, ...] = ()
    token: str = ""
    ca_hash: str = ""
    node: str = ""
    addresses: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    verbosity: int = 0


def run(request: Request, commands: CommandLine) -> None:
    """Join, unless that is done, and be a node until told to end.

    Raises:
        ClusterError: it cannot be done; the text says why and what to do.
    """
    machine.require()
    paths = request.paths
    paths.make()
    with foreground.alone(paths.lock, f"another `clusterip agent` runs with {paths.state}"):
        if (paths.pki / "ca.key").exists():
            raise ClusterError(f"{paths.state} is the directory of a server: give another --data-dir")
        try:
            membership = join(request)
        except JoinError as error:
            raise ClusterError(str(error)) from None
        plan = _plan(request, membership)
        foreground.run(plan, paths.plan, foreground.Foreground(plan, commands))


def join(request: Request) -> Membership:
    """Make this machine a member, or see that it is one; nothing is asked of the servers in that case.

    Raises:
        JoinError: it cannot be one.
    """
    paths = request.paths
    files = Files(paths.pki)
    _check_addresses(request.addresses)
    known = state.read(layout.membership(paths))
    if known is not None and request.ca_hash and request.ca_hash != known.ca_hash:
        raise JoinError(
            f"this machine is a node of another cluster, whose CA has the hash {known.ca_hash}. To join this "
            f"one, end that agent, delete its node and remove {paths.state}"
        )
    membership = known and _changed(known, request)
    if membership is None or not all(
        files.is_valid(each) for each in identities.all_of(membership.node, membership.addresses)
    ):
        membership = _join(request, files, membership)
    state.save(layout.membership(paths), membership)
    _write_kubeconfigs(paths, files)
    return membership


def _changed(known: Membership, request: Request) -> Membership:
    """The membership with what was given anew this time."""
    given = {"servers": request.servers, "addresses": request.addresses, "labels": request.labels}
    if request.node and request.node != known.node:
        raise JoinError(
            f"this machine is the node {known.node}; to be {request.node}, delete that node and join afresh"
        )
    return msgspec.structs.replace(known, **{key: value for key, value in given.items() if value})


def _join(request: Request, files: Files, known: Membership | None) -> Membership:
    servers = request.servers or (known.servers if known else ())
    ca_hash = request.ca_hash or (known.ca_hash if known else "")
    if not servers or not ca_hash:
        raise JoinError(
            "this machine has not joined a cluster yet: it needs --join, --token and --ca-hash. "
            f"{_NEW_COMMAND}"
        )
    name = known.node if known else _node_name(request)
    found = discover(servers, ca_hash)
    skew.check(found.version, KUBELET_VERSION)
    addresses = (known.addresses if known else request.addresses) or (_own_address(found.server),)
    families = {ip_address(each).version for each in addresses}
    if found.settings.pod_cidr_ipv6 is not None and families != {4, 6}:
        raise JoinError(
            "the cluster has IPv4 and IPv6: give this machine's address of each, --node-ip=IPV4,IPV6; "
            "`ip address` shows what it has"
        )
    membership = Membership(
        node=name,
        addresses=addresses,
        servers=servers,
        ca_hash=ca_hash,
        settings=found.settings,
        labels=known.labels if known else request.labels,
    )
    write(files.authority, found.authority)
    asyncio.run(_get_certificates(request, files, found, membership))
    print(f"This machine is the node {membership.node} of the cluster at {found.server}.", flush=True)
    return membership


def _node_name(request: Request) -> str:
    name = request.node or socket.gethostname().lower()
    if problems := names.dns_subdomain(name):
        raise JoinError(f"{name!r} cannot be a node's name; give one with --node-name: {problems[0]}")
    return name


def _check_addresses(addresses: tuple[str, ...]) -> None:
    for address in addresses:
        try:
            family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
        except ValueError:
            raise JoinError(f"--node-ip: {address!r} is no IP address") from None
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError as error:
                raise JoinError(
                    f"--node-ip: this machine does not have the address {address} ({error.strerror}); "
                    "`ip address` shows what it has"
                ) from None


def _own_address(server: str) -> str:
    """The address by which this machine reaches a server."""
    from clusterip.member.main import address_of

    host, port = address_of(server)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family[0], socket.SOCK_DGRAM) as probe:
            probe.connect(family[4])
            return str(probe.getsockname()[0])
    except OSError as error:
        raise JoinError(f"cannot find this machine's address ({error}): give it with --node-ip") from None


async def _get_certificates(
    request: Request, files: Files, found: Discovered, membership: Membership
) -> None:
    own = identities.node(membership.node)
    try:
        if not files.is_valid(own):
            await _bootstrap(request, files, found, membership)
        pem = Pem(path=files.path(own))
        async with _client(found, Tls(Pem(data=found.authority), pem, pem)) as client:
            await _register(client, membership)
            for identity in identities.all_of(membership.node, membership.addresses)[1:]:
                if not files.is_valid(identity):
                    files.write(identity, await obtain(client, identity, _waiting))
    except Unreachable as error:
        raise JoinError(str(error)) from None
    except ApiError as error:
        raise JoinError(f"the server at {found.server} refuses: {error}") from None


async def _bootstrap(request: Request, files: Files, found: Discovered, membership: Membership) -> None:
    """Get the first certificate, with the token."""
    if not request.token:
        why = "has expired" if files.path(identities.node(membership.node)).exists() else "is not there yet"
        raise JoinError(f"this machine's certificate {why}, so that it needs a --token: {_NEW_COMMAND}")
    config = dataclasses.replace(
        _config(found, Tls(Pem(data=found.authority), Pem(), Pem())), credentials=bearer(request.token)
    )
    async with Client(config) as client:
        try:
            await _must_be_free(client, membership.node)
            pem = await obtain(client, identities.node(membership.node), _waiting)
        except ApiError as error:
            if error.code == 401:
                raise JoinError(
                    f"the server at {found.server} does not know this token, or it has expired: "
                    f"{_NEW_COMMAND}"
                ) from None
            raise
    files.write(identities.node(membership.node), pem)


async def _must_be_free(client: Client, name: str) -> None:
    """As ``kubeadm join``: two machines of one name would take each other's Pods."""
    try:
        node = await client.get(Node, name)
    except ApiError as error:
        if error.is_not_found:
            return
        raise
    if is_ready(node):
        raise JoinError(
            f"the cluster has a node {name} that is Ready: choose another name with --node-name, or, if this "
            f"machine takes its place, `kubectl delete node {name}` first"
        )


async def _register(client: Client, membership: Membership) -> None:
    """Make the Node, so that it is known whose addresses the serving certificate is asked for."""
    addresses = [NodeAddress(type="InternalIP", address=each) for each in membership.addresses]
    addresses.append(NodeAddress(type="Hostname", address=membership.node))
    labels = {"kubernetes.io/hostname": membership.node, **_labels(membership)}
    node = Node(
        metadata=ObjectMeta(name=membership.node, labels=labels), status=NodeStatus(addresses=addresses)
    )
    try:
        await client.create(node)
    except ApiError as error:
        if not error.is_already_exists:
            raise
        found = await client.get(Node, membership.node)
        if found.status.addresses != addresses:
            status = msgspec.structs.replace(found.status, addresses=addresses)
            await client.update_status(msgspec.structs.replace(found, status=status))


def _waiting(name: str) -> None:
    print(f"Waiting for somebody to approve: kubectl certificate approve {name}", flush=True)


def _config(found: Discovered, tls: Tls) -> Config:
    return Config(
        server=found.server,
        root_ca=found.authority.decode(),
        ssl_context=tls.context(),
        tls=tls,
        user_agent="clusterip-agent",
    )


def _client(found: Discovered, tls: Tls) -> Client:
    return Client(_config(found, tls))


def _labels(membership: Membership) -> dict[str, str]:
    return {DNS_LABEL: "true", **membership.labels}


def _write_kubeconfigs(paths: Paths, files: Files) -> None:
    for name in ("node", "proxy", "dns", "network"):
        pem = paths.pki / f"{name}.pem"
        kubeconfigs.with_files(
            paths.kubeconfig(name), f"https://{_LOCAL}", name, files.authority, Pair(pem, pem)
        )


def _plan(request: Request, membership: Membership) -> Plan:
    paths = request.paths
    programs: tuple[Program, ...] = (
        _member(paths),
        _node(paths, membership),
        _proxy(paths, membership),
        _dns(paths, membership),
    )
    if request.verbosity:
        programs = tuple(
            msgspec.structs.replace(each, arguments=(*each.arguments, f"--v={request.verbosity}"))
            for each in programs
        )
    return Plan(programs, records=str(paths.processes), stopping=str(paths.stopping))


def _member(paths: Paths) -> Program:
    health = f"127.0.0.1:{_MEMBER_PORT}"
    return Program(
        name="member",
        arguments=(
            "member",
            f"--state-file={layout.membership(paths)}",
            f"--servers-file={layout.servers(paths)}",
            f"--certificate-dir={paths.pki}",
            f"--kubeconfig={paths.kubeconfig('node')}",
            f"--servers-kubeconfig={paths.kubeconfig('proxy')}",
            f"--bind-address={_LOCAL}",
            f"--healthz-bind-address={health}",
        ),
        sockets=(Socket("tcp", _LOCAL),),
        health=f"http://{health}/readyz",
        log=str(paths.log("member")),
    )


def _node(paths: Paths, membership: Membership) -> Program:
    serving = paths.pki / "serving.pem"
    health = f"127.0.0.1:{NODE_PORT}"
    settings = membership.settings
    labels = ",".join(f"{key}={value}" for key, value in sorted(_labels(membership).items()))
    return Program(
        name="node",
        arguments=(
            "node",
            f"--kubeconfig={paths.kubeconfig('node')}",
            f"--network-kubeconfig={paths.kubeconfig('network')}",
            f"--hostname-override={membership.node}",
            f"--node-ip={','.join(membership.addresses)}",
            f"--cluster-dns={settings.dns_address}",
            f"--cluster-domain={settings.domain}",
            f"--root-dir={paths.node(membership.node)}",
            f"--image-dir={paths.images}",
            f"--client-ca-file={paths.pki / 'ca.crt'}",
            f"--tls-cert-file={serving}",
            f"--tls-private-key-file={serving}",
            f"--healthz-bind-address={health}",
            f"--node-labels={labels}",
            f"--pod-network-mode={settings.pod_network_mode}",
        ),
        health=f"http://{health}/readyz",
        log=str(paths.log("node")),
    )


def _proxy(paths: Paths, membership: Membership) -> Program:
    settings = membership.settings
    return Program(
        name="proxy",
        arguments=(
            "proxy",
            f"--kubeconfig={paths.kubeconfig('proxy')}",
            f"--hostname-override={membership.node}",
            f"--cluster-cidr={settings.pod_cidrs}",
            f"--proxy-mode={settings.proxy_mode}",
            # Asked by Pods on the host network and by load balancers, on whatever address they know.
            f"--healthz-bind-address=0.0.0.0:{PROXY_PORT}",
            f"--metrics-bind-address=127.0.0.1:{PROXY_METRICS_PORT}",
        ),
        health=f"http://127.0.0.1:{PROXY_PORT}/readyz",
        log=str(paths.log("proxy")),
    )


def _dns(paths: Paths, membership: Membership) -> Program:
    address = membership.addresses[0]
    bind = f"[{address}]:53" if ":" in address else f"{address}:53"
    health = f"127.0.0.1:{DNS_PORT}"
    return Program(
        name="dns",
        arguments=(
            "dns",
            f"--kubeconfig={paths.kubeconfig('dns')}",
            f"--bind={bind}",
            f"--cluster-domain={membership.settings.domain}",
            f"--healthz-bind-address={health}",
            f"--metrics-bind-address=127.0.0.1:{DNS_METRICS_PORT}",
        ),
        sockets=(Socket("udp", bind), Socket("tcp", bind)),
        health=f"http://{health}/readyz",
        log=str(paths.log("dns")),
    )
