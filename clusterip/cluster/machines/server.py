"""``clusterip server``: the control plane on this machine."""

from __future__ import annotations

import asyncio
import shutil
import socket
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from clusterip.client.config import load
from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.cluster import machine
from clusterip.cluster.certificates import Certificates, Wanted
from clusterip.cluster.errors import ClusterError
from clusterip.cluster.machines import foreground, joining, kubeconfigs, layout, tokens
from clusterip.cluster.paths import Paths
from clusterip.cluster.plan import CONTROLLERS_PORT, Plan, Program, Socket
from clusterip.cluster.zygote import CommandLine
from clusterip.member import clusterinfo
from clusterip.member.clusterinfo import Settings
from clusterip.member.files import write
from clusterip.storage.etcd.endpoints import Tls
from clusterip.storage.keys import CLUSTER
from clusterip.storage.open import kind_of, open_store
from clusterip.storage.store import Compare, Conflict, Put, StoreError

_SHARED_FILES = ("ca.crt", "ca.key", "sa.key", "sa.pub")
_TOKEN_LIFE = timedelta(hours=24)
_FIRST_TOKEN = "made when the cluster was"
_STORE_SECONDS = 30.0


@dataclass(frozen=True)
class Request:
    """What a person asked for. ``address`` is where others reach this server, ``names`` are further names and
    addresses for its certificate; ``pki_from`` has the CA and keys of another server of the cluster;
    ``grace_seconds`` is how long a node may be silent."""

    paths: Paths
    settings: Settings
    address: str = ""
    port: int = 6443
    names: tuple[str, ...] = ()
    store: str = ""
    etcd: Tls = field(default_factory=Tls)
    pki_from: Path | None = None
    grace_seconds: float = 40.0
    verbosity: int = 0

    @property
    def store_url(self) -> str:
        return self.store or f"sqlite://{self.paths.database}"


def run(request: Request, commands: CommandLine) -> None:
    """Be a server until told to end.

    Raises:
        ClusterError: it cannot be one; the text says why and what to do.
    """
    machine.require_root()
    paths = request.paths
    paths.make()
    with foreground.alone(paths.lock, f"another `clusterip server` runs with {paths.state}"):
        if layout.membership(paths).exists():
            raise ClusterError(f"{paths.state} is the directory of an agent: give another --data-dir")
        address = request.address or _own_address()
        certificates = Certificates(paths.pki)
        if request.pki_from is not None:
            _take_over(request.pki_from, paths.pki)
        _renew(request, certificates, address)
        _claim(request, certificates)
        plan = _plan(request, certificates, address)
        runner = foreground.Foreground(
            plan,
            commands,
            setup=lambda: asyncio.run(_set_up(request, certificates, address)),
            chore=lambda: _renew(request, certificates, address),
        )
        foreground.run(plan, paths.plan, runner)


def url_of(address: str, port: int) -> str:
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; the kernel picks the source address
        except OSError:
            raise ClusterError(
                "this machine has no default route to tell its address by: give it with --advertise-address"
            ) from None
        return str(probe.getsockname()[0])


def _take_over(source: Path, pki: Path) -> None:
    """Take the CA and keys of another server, once."""
    for name in _SHARED_FILES:
        try:
            data = (source / name).read_bytes()
        except OSError as error:
            raise ClusterError(f"--pki-from: {source / name}: {error.strerror}") from None
        target = pki / name
        if target.exists() and target.read_bytes() != data:
            raise ClusterError(
                f"{target} is there already, and not that of --pki-from: this server is of another cluster. "
                "Use a fresh --data-dir"
            )
    for name in _SHARED_FILES:
        if not (pki / name).exists():
            shutil.copyfile(source / name, pki / f"{name}.new")
            (pki / f"{name}.new").chmod(0o644 if name.endswith((".crt", ".pub")) else 0o600)
            (pki / f"{name}.new").replace(pki / name)


def _wanted(request: Request, address: str) -> list[Wanted]:
    service = f"kubernetes.default.svc.{request.settings.domain}"
    hosts = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", service, "localhost", "127.0.0.1"]
    hosts += [socket.gethostname().lower(), address, str(request.settings.api_service_address)]
    return [
        Wanted("apiserver", "kube-apiserver", hosts=tuple(dict.fromkeys((*hosts, *request.names)))),
        Wanted("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",)),
        Wanted("admin", "kubernetes-admin", ("system:masters",)),
        Wanted("controllers", "system:kube-controller-manager"),
    ]


def _renew(request: Request, certificates: Certificates, address: str) -> None:
    """Make the certificates that are missing or will expire soon; parts read theirs again by themselves."""
    paths = request.paths
    certificates.ensure(_wanted(request, address))
    authority = certificates.authority.certificate
    local = url_of("127.0.0.1", request.port)
    controllers = certificates.pair("controllers")
    kubeconfigs.with_files(paths.kubeconfig("controllers"), local, "controllers", authority, controllers)
    own = url_of(address, request.port)
    kubeconfigs.complete(paths.admin_kubeconfig, own, "admin", authority, certificates.pair("admin"))


def _claim(request: Request, certificates: Certificates) -> None:
    """Write into a shared store whose it is, or see that it is ours, before anything runs on it."""
    try:
        if kind_of(request.store_url) == "etcd":
            own = clusterinfo.hash_of(certificates.authority.certificate.read_bytes())
            asyncio.run(_claim_store(request, own.encode()))
    except (StoreError, TimeoutError) as error:
        raise ClusterError(f"--store {request.store}: {str(error) or 'it does not answer'}") from None


async def _claim_store(request: Request, own: bytes) -> None:
    async with asyncio.timeout(_STORE_SECONDS):
        store = await open_store(request.store_url, request.etcd)
        try:
            await store.transact((Compare(CLUSTER, 0),), (Put(CLUSTER, own),))
        except Conflict as conflict:
            if conflict.current is None or conflict.current.value != own:
                raise ClusterError(joining.ANOTHER_CA) from None
        finally:
            await store.close()


async def _set_up(request: Request, certificates: Certificates, address: str) -> None:
    """Create the objects that joining needs, and print how to join, if nobody was told before."""
    authority = certificates.authority.certificate.read_bytes()
    server = url_of(address, request.port)
    try:
        async with Client(load(str(request.paths.admin_kubeconfig))) as client:
            await joining.create_objects(client, request.settings, authority, server)
            shown = layout.token_shown(request.paths)
            if not shown.exists():
                token = await tokens.create(client, _TOKEN_LIFE, _FIRST_TOKEN)
                write(shown, b"")
                _print_command(server, token, clusterinfo.hash_of(authority))
    except (ClusterError, ApiError, Unreachable) as error:
        raise SystemExit(f"clusterip: {error}") from None
    print(f"The server is ready at {server}. kubeconfig: {request.paths.admin_kubeconfig}", flush=True)


def _print_command(server: str, token: str, ca_hash: str) -> None:
    print("To make another machine a node of this cluster, run there as root, within 24 hours:\n")
    print(f"  {tokens.join_command(server, token, ca_hash)}\n")
    print("Later, `clusterip token create` prints a new one.", flush=True)


def _plan(request: Request, certificates: Certificates, address: str) -> Plan:
    programs: tuple[Program, ...] = (
        _apiserver(request, certificates, address),
        _controllers(request, certificates),
    )
    if request.verbosity:
        programs = tuple(_louder(program, request.verbosity) for program in programs)
    paths = request.paths
    return Plan(programs, records=str(paths.processes), stopping=str(paths.stopping))


def _louder(program: Program, verbosity: int) -> Program:
    import msgspec

    return msgspec.structs.replace(program, arguments=(*program.arguments, f"--v={verbosity}"))


def _apiserver(request: Request, pki: Certificates, address: str) -> Program:
    serving, kubelet = pki.pair("apiserver"), pki.pair("apiserver-kubelet-client")
    everywhere = "::" if ip_address(address).version == 6 else "0.0.0.0"
    etcd = request.etcd
    return Program(
        name="apiserver",
        arguments=(
            "apiserver",
            f"--store={request.store_url}",
            *(f"--etcd-cafile={name}" for name in [etcd.ca_file] if name),
            *(f"--etcd-certfile={name}" for name in [etcd.cert_file] if name),
            *(f"--etcd-keyfile={name}" for name in [etcd.key_file] if name),
            f"--bind-address={everywhere}",
            f"--secure-port={request.port}",
            f"--advertise-address={address}",
            f"--service-cluster-ip-range={request.settings.service_cidrs}",
            f"--cert-dir={request.paths.pki}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={pki.authority.certificate}",
            f"--kubelet-client-certificate={kubelet.certificate}",
            f"--kubelet-client-key={kubelet.key}",
            f"--kubelet-certificate-authority={pki.authority.certificate}",
            f"--service-account-issuer=https://kubernetes.default.svc.{request.settings.domain}",
            f"--service-account-signing-key-file={pki.signing_key}",
            f"--service-account-key-file={pki.signing_key_public}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--enable-bootstrap-token-auth=true",
            "--anonymous-auth=true",  # who wants to join knows nothing yet but where to ask
        ),
        sockets=(
            Socket(
                "tcp",
                f"[{everywhere}]:{request.port}" if ":" in everywhere else f"{everywhere}:{request.port}",
            ),
        ),
        health=f"{url_of(address, request.port)}/readyz",
        log=str(request.paths.log("apiserver")),
    )


def _controllers(request: Request, pki: Certificates) -> Program:
    health = f"127.0.0.1:{CONTROLLERS_PORT}"
    return Program(
        name="controllers",
        arguments=(
            "controllers",
            f"--kubeconfig={request.paths.kubeconfig('controllers')}",
            f"--cluster-cidr={request.settings.pod_cidrs}",
            f"--service-cluster-ip-range={request.settings.service_cidrs}",
            f"--service-account-private-key-file={pki.signing_key}",
            f"--cluster-signing-cert-file={pki.authority.certificate}",
            f"--cluster-signing-key-file={pki.authority.key}",
            f"--node-monitor-grace-period={round(request.grace_seconds * 1000)}ms",
            f"--healthz-bind-address={health}",
            # Where no other server can be, one that comes back need not wait for its own lease to run out.
            f"--leader-elect={str(kind_of(request.store_url) == 'etcd').lower()}",
        ),
        health=f"http://{health}/readyz",
        log=str(request.paths.log("controllers")),
    )
