"""A Pod's sandbox: its namespaces, its link to the node's bridge, its addresses and its /etc files."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import msgspec

from clusterip.kernel import mounts, users
from clusterip.kernel import namespaces as kernel_namespaces
from clusterip.kernel.netlink import NetlinkError
from clusterip.kernel.rtnetlink import RouteSocket
from clusterip.node.files import write_atomic
from clusterip.node.layout import PodDirectory
from clusterip.node.network.bridge import BRIDGE, link_address
from clusterip.node.network.hostports import HostPort, host_ports_of
from clusterip.node.network.ipam import Address, AddressPools, gateway_of
from clusterip.node.sandbox import namespaces, pause
from clusterip.node.sandbox.dns import Resolver, limited, problems_of, read_host, resolver_for
from clusterip.node.sandbox.hosts import hosts_file, kernel_hostname
from clusterip.node.sandbox.sysctls import is_of_ipc, sysctls_of
from clusterip.objects import times
from clusterip.objects.core.pod import Pod


class Record(msgspec.Struct):
    """``sandbox.json``. ``network`` is the name of the network namespace, "" for the node's own.

    ``host_ports`` are the node's ports that lead here. ``first_process`` is that of the Pod's PID namespace,
    0 if each container has its own; ``shm`` what all have as /dev/shm, likewise ``""``. ``grace_seconds`` is
    what the Pod's containers get to end, should nobody be left to ask.
    """

    network: str
    link: str
    addresses: list[str]
    hostname: str
    created_at: str
    grace_seconds: int = 30
    host_ports: list[HostPort] = []
    first_process: int = 0
    shm: str = ""


@dataclass(frozen=True)
class Settings:
    """What all sandboxes of a node share."""

    node_name: str
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    resolv_conf: Path = Path("/etc/resolv.conf")
    mtu: int = 0


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is there. ``addresses`` are the Pod's own; none in the node's network."""

    directory: PodDirectory
    record: Record

    @property
    def addresses(self) -> list[str]:
        return self.record.addresses

    @property
    def is_whole(self) -> bool:
        """Whether everything that was made is still there. A reboot takes it away, or who kills a process."""
        record, directory = self.record, self.directory
        if record.first_process and not pause.runs(record.first_process, directory.path):
            return False
        if record.shm and not kernel_namespaces.is_mount_point(Path(record.shm)):
            return False
        return namespaces.exist(record.network, directory.namespace("uts"), directory.namespace("ipc"))

    def namespaces(self) -> dict[str, str]:
        """Kind -> path of the namespaces the Pod's containers join."""
        kinds = {"uts": str(self.directory.namespace("uts"))}
        if self.record.shm != str(_NODES_SHM):
            kinds["ipc"] = str(self.directory.namespace("ipc"))
        if self.record.first_process:
            kinds["pid"] = f"/proc/{self.record.first_process}/ns/pid"
        if self.record.network:
            kinds["network"] = str(kernel_namespaces.path_of(self.record.network))
        return kinds


_NODES_SHM = Path("/dev/shm")
_SHM_BYTES = 64 << 20  # as containerd


def network_name(uid: str) -> str:
    """The network namespace of a Pod that has its own."""
    return f"clusterip-pod-{_digest(uid)[:12]}"


def _link_name(uid: str) -> str:
    return f"veth{_digest(uid)[:8]}"


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()


def read_record(directory: PodDirectory) -> Record | None:
    """What is written of a Pod's sandbox, whether or not it is still there."""
    try:
        return msgspec.json.decode(directory.sandbox.read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def load(directory: PodDirectory) -> Sandbox | None:
    """The sandbox an earlier agent made, or None if there is none or a reboot took it away."""
    record = read_record(directory)
    if record is None:
        return None
    sandbox = Sandbox(directory, record)
    return sandbox if sandbox.is_whole else None


def create(pod: Pod, directory: PodDirectory, pools: AddressPools, settings: Settings) -> Sandbox:
    """Make a Pod's sandbox, from nothing or from what is left of one.

    Raises:
        Exhausted: the podCIDR has no free address.
        OSError: the kernel refused something; what was made of the network is removed again.
    """
    if pod.spec.hostUsers is False:
        raise OSError("hostUsers: false is not supported: Pods have no user namespaces here")
    host_network, grace = pod.spec.hostNetwork, pod.spec.terminationGracePeriodSeconds
    record = Record(
        network="" if host_network else network_name(directory.uid),
        link="" if host_network else _link_name(directory.uid),
        addresses=[],
        hostname=kernel_hostname(pod, settings.cluster_domain, settings.node_name),
        created_at=times.now_micro(),
        grace_seconds=30 if grace is None else grace,
        host_ports=host_ports_of(pod),
    )
    uts, ipc = directory.namespace("uts"), directory.namespace("ipc")
    sysctls = sysctls_of(pod)
    of_ipc = {name: value for name, value in sysctls.items() if is_of_ipc(name)}
    namespaces.create(record.network, uts, ipc, record.hostname, of_ipc)
    if not host_network:
        addresses = pools.take()
        record.addresses = [str(address) for address in addresses]
        try:
            _connect(record, addresses, pools, settings.mtu)
            with kernel_namespaces.enter(kernel_namespaces.path_of(record.network)):
                _tune({name: value for name, value in sysctls.items() if name not in of_ipc})
        except BaseException:
            pools.free(addresses)
            namespaces.delete(record.network, uts, ipc)
            raise
    _share(pod, directory, record)
    write_etc(pod, directory, record.addresses, record.hostname, settings)
    # Last: an agent that finds this file may rely on all the rest.
    write_atomic(directory.sandbox, msgspec.json.encode(record))
    return Sandbox(directory, record)


def _share(pod: Pod, directory: PodDirectory, record: Record) -> None:
    """Make what only some Pods' containers have in common. What an earlier attempt left is removed."""
    _unshare(directory)
    if pod.spec.hostIPC:
        record.shm = str(_NODES_SHM)
    elif len(pod.spec.containers) + len(pod.spec.initContainers) > 1:
        directory.shm.mkdir(parents=True, exist_ok=True)
        flags = mounts.NOSUID | mounts.NODEV | mounts.NOEXEC
        mounts.mount_tmpfs(directory.shm, f"mode=1777,size={_SHM_BYTES}", flags)
        record.shm = str(directory.shm)
    if pod.spec.shareProcessNamespace:
        directory.namespace("pid").touch()  # first: an agent that finds it knows that there may be a process
        record.first_process = pause.start(directory.path)


def _unshare(directory: PodDirectory) -> None:
    if directory.namespace("pid").exists():
        pause.end(directory.path)
        directory.namespace("pid").unlink()
    if directory.shm.exists():
        mounts.unmount(directory.shm)
        directory.shm.rmdir()


def delete(directory: PodDirectory, pools: AddressPools | None) -> None:
    """Remove a sandbox and free its addresses. Harmless if there is none.

    Also what is left of one whose making was cut off: all names follow from the Pod's UID.
    """
    with RouteSocket() as route:
        route.delete_link(_link_name(directory.uid))
    _unshare(directory)
    uts, ipc = directory.namespace("uts"), directory.namespace("ipc")
    namespaces.delete(network_name(directory.uid), uts, ipc)
    record = read_record(directory)
    directory.sandbox.unlink(missing_ok=True)
    if pools is not None and record is not None:
        pools.free(ip_address(address) for address in record.addresses)


def write_etc(
    pod: Pod, directory: PodDirectory, addresses: list[str], hostname: str, settings: Settings
) -> None:
    """Write the files that are mounted into all the Pod's containers."""
    directory.etc("hosts").parent.mkdir(parents=True, exist_ok=True)
    directory.etc("resolv.conf").write_text(str(limited(_resolver(pod, settings))))
    directory.etc("hosts").write_text(hosts_file(pod, addresses, settings.cluster_domain))
    directory.etc("hostname").write_text(f"{hostname}\n")


def dns_problems(pod: Pod, settings: Settings) -> dict[str, str]:
    """What of a Pod's wishes for its resolver cannot be: reasons of Events and their messages."""
    return problems_of(pod, _resolver(pod, settings), settings.cluster_dns)


def _resolver(pod: Pod, settings: Settings) -> Resolver:
    return resolver_for(
        pod,
        servers=settings.cluster_dns,
        domain=settings.cluster_domain,
        host=read_host(settings.resolv_conf),
    )


def _connect(record: Record, addresses: list[Address], pools: AddressPools, mtu: int) -> None:
    inside_namespace = kernel_namespaces.path_of(record.network)
    with RouteSocket() as node, RouteSocket(inside_namespace) as inside:
        node.delete_link(record.link)  # of an attempt that was cut off
        node.add_veth(
            record.link,
            "eth0",
            peer_namespace=inside_namespace,
            peer_address=link_address(addresses[0]),
            mtu=mtu,
            master=BRIDGE,
        )
        # Where br_netfilter is at work it rewrites destinations before the bridge chooses a port, and a Pod
        # that reaches itself through a Service is sent back out of the port it came in by.
        node.set_hairpin(record.link)
        inside.set_link("lo", up=True)
        eth0 = inside.index("eth0")
        for address in addresses:
            inside.add_address(eth0, f"{address}/{address.max_prefixlen}")
        inside.set_link(eth0, up=True)
        node.set_link(record.link, up=True)
        for pool in pools.pools:
            gateway = gateway_of(pool.network).ip
            inside.replace_route(f"{gateway}/{gateway.max_prefixlen}", link=eth0)
            inside.replace_route(None, gateway=gateway, link=eth0)
        _announce(node, addresses)


def _announce(node: RouteSocket, addresses: list[Address]) -> None:
    # The node may remember that nobody answered for this address, or who had it before.
    for neighbour in node.neighbours(BRIDGE):
        if neighbour.address in addresses and neighbour.address is not None:
            try:
                node.delete_neighbour(BRIDGE, neighbour.address)
            except NetlinkError as error:
                if error.errno != errno.ENOENT:
                    raise


def _tune(own: dict[str, str]) -> None:
    """Set what the calling thread's network is to have: as containerd does, no heed to redirects, and
    the Pod's ``own`` sysctls. Raises OSError for one that cannot be set."""
    wanted = {
        "net/ipv4/ping_group_range": f"0 {min(users.largest('gid'), 2147483647)}",
        "net/ipv4/ip_unprivileged_port_start": "0",
        "net/ipv4/conf/all/accept_redirects": "0",
        "net/ipv4/conf/eth0/accept_redirects": "0",
    }
    for name, value in (wanted | own).items():
        path = Path("/proc/sys") / name
        if name in own or path.exists():
            path.write_text(value)
