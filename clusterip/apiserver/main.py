"""Putting an API server together and running it."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from clusterip.apiserver import tls
from clusterip.apiserver.admission.chain import Admission
from clusterip.apiserver.allocation.addresses import AddressAllocator
from clusterip.apiserver.allocation.ports import PortAllocator
from clusterip.apiserver.allocation.ranges import Network
from clusterip.apiserver.allocation.services import ServiceHooks
from clusterip.apiserver.authn import Authenticator, TokenFile, Tokens
from clusterip.apiserver.authz import Authorizer, authorizer
from clusterip.apiserver.authz.policy.reconcile import bootstrap_policy
from clusterip.apiserver.background import Background
from clusterip.apiserver.bootstrap import Keeper, bootstrap, lead_to_servers
from clusterip.apiserver.bootstrap_tokens import BootstrapTokens
from clusterip.apiserver.cache import WatchCache
from clusterip.apiserver.generic import Objects
from clusterip.apiserver.identity import Identity
from clusterip.apiserver.kubelet import Kubelets
from clusterip.apiserver.openid import BadIssuer, OpenId
from clusterip.apiserver.options import Options
from clusterip.apiserver.peers import Peers, Server
from clusterip.apiserver.server import ApiServer, HttpServer
from clusterip.apiserver.status import StatusError
from clusterip.apiserver.subresources.handlers import handlers
from clusterip.apiserver.subresources.token import TokenRequests
from clusterip.apiserver.tokens import ServiceAccountTokens
from clusterip.objects import kinds  # noqa: F401 - registers every kind
from clusterip.objects.core.service import SERVICES
from clusterip.process import log
from clusterip.process.collection import Collector
from clusterip.process.health import HealthServer
from clusterip.process.run import Fatal
from clusterip.process.sockets import listen_tcp
from clusterip.storage.compaction import compact_periodically
from clusterip.storage.etcd.endpoints import Tls
from clusterip.storage.etcd.login import read_user
from clusterip.storage.open import open_store
from clusterip.storage.store import Closed, Store, StoreError

GOODBYE_SECONDS = 3.0

_log = log.get("apiserver")


async def main(options: Options) -> None:
    """Serve the API until cancelled.

    Raises:
        Fatal: a setting is wrong, or something it names cannot be used; the store's data were lost.
        OSError: an address cannot be listened on.
    """
    sockets = [_listen(address, options.secure_port) for address in options.bind_addresses]
    files = Tls(options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile)
    try:
        store = await open_store(
            options.store, files, read_user(options.etcd_user, options.etcd_password_file)
        )
    except StoreError as error:
        raise Fatal(str(error)) from error
    try:
        async with serving(options, store, sockets) as following:
            await asyncio.shield(following)  # without its watch of the store it would serve the past
    except Closed as error:
        raise Fatal(f"cannot go on, only begin anew: {error}") from None
    finally:
        await store.close()
        for each in sockets:
            each.close()


@asynccontextmanager
async def serving(
    options: Options, store: Store, sockets: list[socket.socket]
) -> AsyncIterator[asyncio.Task[None]]:
    """An API server on listening sockets, for as long as the context lasts.

    Gives the task that follows the store; if that fails, the server must be stopped.
    """
    ranges = service_ranges(options)
    address = advertised(options, sockets)
    port = sockets[0].getsockname()[1]
    context = tls.server_context(options, ["127.0.0.1", "::1", address, str(ranges[0][1])])
    cache = WatchCache(store)
    try:
        allow = authorizer(options.authorization_mode, cache)
    except ValueError as error:
        raise Fatal(f"--authorization-mode: {error}") from None
    tokens = ServiceAccountTokens.open(options, cache)
    authenticator = _authenticator(options, cache, tokens)
    hooks = ServiceHooks(
        cache,
        AddressAllocator(cache, ranges),
        PortAllocator(cache, *options.service_node_port_range),
    )
    objects = Objects(store, cache, _admission(options, cache, allow), {SERVICES: hooks})
    health = HealthServer("apiserver")
    health.add_check("watch-cache", lambda: cache.failure or None)
    health.ready_check("etcd" if store.shared else "sqlite", lambda: store.trouble or None)
    started = asyncio.Event()
    health.ready_check("poststarthook/bootstrap", lambda: None if started.is_set() else "not finished yet")
    requests = TokenRequests(
        tokens,
        longest=options.service_account_max_token_expiration,
        extend=options.service_account_extend_token_expiration,
    )
    api = ApiServer(
        options, cache, objects, authenticator, allow, health, handlers(Kubelets(options, cache), requests)
    )
    api.openid = _openid(options, tokens, f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
    http = HttpServer(api)
    following = asyncio.create_task(cache.run())
    background = Background(health)
    peers_changed = asyncio.Event()
    peers = Peers(cache, Server(address, port), peers_changed)
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    collector = Collector()
    try:
        await _until_loaded(cache, following)
        await peers.renew()
        await bootstrap(objects, ranges, peers, port)
        await bootstrap_policy(objects)
        background.start("compaction", lambda: compact_periodically(store))
        background.start("identity-lease", Identity(objects, peers.own).round)
        background.start("kubernetes-service", Keeper(objects, ranges, peers, port, peers_changed).round)
        if store.shared:
            background.start("peers", peers.round)
        started.set()
        gc.collect()
        gc.freeze()  # what is loaded now stays: later collections need not look at it
        collector.start()
        for each in sockets:
            servers.append(await loop.create_server(http, sock=each, ssl=context, backlog=4096))
            host, number = each.getsockname()[:2]
            _log.info("serving", address=f"[{host}]:{number}" if ":" in host else f"{host}:{number}")
        yield following
    finally:
        await background.stop()
        if started.is_set() and await peers.leave():
            await _say_goodbye(objects, ranges, peers)
        for server in servers:
            server.close()
        if following.cancel():
            with suppress(asyncio.CancelledError):
                await following
        await http.shutdown(1.0)
        api.close()


async def _say_goodbye(objects: Objects, ranges: list[Network], peers: Peers) -> None:
    """Before the sockets close, so that clients are sent to others in time."""
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await lead_to_servers(objects, ranges, peers)
    except (StatusError, StoreError, TimeoutError) as error:
        _log.warning("the kubernetes Service still leads here", error=str(error))


async def _until_loaded(cache: WatchCache, following: asyncio.Task[None]) -> None:
    ready = asyncio.create_task(cache.ready.wait())
    await asyncio.wait((ready, following), return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        ready.cancel()
        following.result()


def service_ranges(options: Options) -> list[Network]:
    """The ranges that ClusterIPs come from.

    Raises:
        Fatal: one is no CIDR, or two are of the same family.
    """
    ranges: list[Network] = []
    for text in options.service_cluster_ip_ranges:
        try:
            ranges.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise Fatal(f"--service-cluster-ip-range {text}: {error}") from None
    if not 1 <= len(ranges) <= 2 or len({network.version for network in ranges}) != len(ranges):
        raise Fatal("--service-cluster-ip-range takes one range, or one IPv4 and one IPv6 range")
    return ranges


def advertised(options: Options, sockets: list[socket.socket]) -> str:
    """The address that clients inside the cluster reach this server by."""
    if options.advertise_address:
        return options.advertise_address
    bound = [ipaddress.ip_address(each.getsockname()[0]) for each in sockets]
    for address in sorted(bound, key=lambda a: a.is_loopback):
        if not address.is_unspecified:
            return str(address)
    return _outgoing_address()


def _outgoing_address() -> str:
    """The address of the interface with the default route; no packet is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _listen(host: str, port: int) -> socket.socket:
    return listen_tcp(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _admission(options: Options, cache: WatchCache, authorizer: Authorizer) -> Admission:
    try:
        return Admission(
            cache, authorizer, options.enable_admission_plugins, options.disable_admission_plugins
        )
    except ValueError as error:
        raise Fatal(f"--{error}") from None


def _authenticator(options: Options, cache: WatchCache, accounts: ServiceAccountTokens) -> Authenticator:
    tokens: list[Tokens] = []
    audiences = accounts.audiences
    if options.token_auth_file:
        try:
            tokens.append(TokenFile.read(options.token_auth_file, audiences))
        except (OSError, ValueError) as error:
            raise Fatal(f"--token-auth-file: {error}") from None
    tokens.append(accounts)
    if options.enable_bootstrap_token_auth:
        tokens.append(BootstrapTokens(cache, audiences))
    anonymous = options.anonymous_auth
    if anonymous and "AlwaysAllow" in options.authorization_mode.split(","):
        _log.warning("--anonymous-auth is ignored: with AlwaysAllow, anybody could do anything")
        anonymous = False
    return Authenticator(
        tokens, certificates=bool(options.client_ca_file), audiences=audiences, anonymous=anonymous
    )


def _openid(options: Options, tokens: ServiceAccountTokens, address: str) -> OpenId | None:
    try:
        return OpenId(tokens, options.service_account_jwks_uri, address)
    except BadIssuer as error:
        _log.warning("no OpenID documents are served", why=str(error))
        return None
