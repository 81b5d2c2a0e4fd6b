"""The DNS server as a configuration file wants it, followed as the file changes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from clusterip.dns import metrics
from clusterip.dns.cluster import Cluster
from clusterip.dns.config.model import Config, KubernetesOptions, ServerOptions
from clusterip.dns.config.servers import load
from clusterip.dns.config.source import BadConfig
from clusterip.dns.counters import Counters
from clusterip.dns.forward import Forwarder
from clusterip.dns.loop import LoopProbe
from clusterip.dns.options import Options
from clusterip.dns.plugins.compose import Composed, compose
from clusterip.dns.plugins.small import log_failure
from clusterip.dns.responder import Responder
from clusterip.dns.servers import Servers, tls_context
from clusterip.process import Fatal, log
from clusterip.process.filewatch import FileWatch
from clusterip.process.health import HealthServer, Page

_SYNC_SECONDS = 60.0
"""How long a changed configuration may wait for another view of the cluster."""
_RETIRE_SECONDS = 10.0
"""For how long questions may still be under way by the configuration before."""

_log = log.get("dns")


async def main(options: Options, path: str, port: int) -> None:
    """Serve DNS by the configuration file ``path`` until cancelled; ``port`` is for zones without one.

    Raises:
        Fatal: the configuration cannot be used, an address cannot be bound, or questions go in circles.
    """
    try:
        config = load(path, port)
    except BadConfig as error:
        raise Fatal(str(error)) from None
    server = Server(options, path, port)
    try:
        await server.start(config)
        await server.run()
    except asyncio.CancelledError:
        await asyncio.sleep(server.config.lameduck)
        raise
    except BadConfig as error:
        raise Fatal(str(error)) from None
    except OSError as error:
        raise Fatal(error.strerror or str(error)) from None
    finally:
        await server.close()


@dataclass
class Listener:
    """One address, UDP and TCP or TLS, and how its questions are answered."""

    responder: Responder
    servers: Servers
    composed: Composed

    def close(self) -> None:
        self.servers.close()


class Server:
    """What runs by the current configuration, and how the next one takes over."""

    def __init__(self, options: Options, path: str, port: int) -> None:
        self.config = Config(())
        self._options = options
        self._path = path
        self._port = port
        self._counters = Counters()
        self._listeners: dict[str, Listener] = {}
        self._cluster = Cluster(None, None)
        self._health: dict[str, HealthServer] = {}
        self._collector: metrics.DnsCollector | None = None
        self._watch: FileWatch | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reloads = 0
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reloading = asyncio.Lock()

    async def start(self, config: Config) -> None:
        """Raises BadConfig, Fatal or OSError."""
        self._cluster = self._new_cluster(config)
        await self._take(config, self._cluster)
        if config.reload:
            self._watch = FileWatch(self._changed)
            self._watch.watch(config.files)

    async def run(self) -> None:
        """Until something fails for good. Raises what it was."""
        await self._ended

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._watch is not None:
            self._watch.close()
        if self._collector is not None:
            metrics.unregister(self._collector)
        for listener in self._listeners.values():
            listener.close()
            await listener.responder.close()
            for forwarder in listener.composed.forwarders:
                await forwarder.close()
        await self._cluster.close()
        for health in self._health.values():
            await health.close()

    async def reload(self) -> None:
        """Take over the file's present content, or say what is wrong with it and go on as before."""
        async with self._reloading:
            try:
                config = load(self._path, self._port)
                if self._watch is not None:
                    self._watch.watch(config.files)
                if config == self.config:
                    return
                await self._replace(config)
            except (BadConfig, Fatal, OSError, TimeoutError) as error:
                why = str(error) or "the cluster was not listed in time"
                _log.error("configuration not taken over", file=self._path, why=why)
                return
            self._reloads += 1
            _log.info("configuration taken over", file=self._path)

    async def _replace(self, config: Config) -> None:
        old = self._cluster
        if old.serves(_kubernetes(config)):
            await self._take(config, old)
            return
        new = self._new_cluster(config)
        try:
            async with asyncio.timeout(_SYNC_SECONDS):
                await new.synced()  # until then the old one answers
            await self._take(config, new)
        except BaseException:
            await new.close()
            raise
        self._cluster = new
        await old.close()

    async def _take(self, config: Config, cluster: Cluster) -> None:
        """Put a configuration in force: first all that may fail, then all at once what shows."""
        by_address = _by_address(config)
        composed = {
            address: compose(servers, cluster.zone, by_address, cluster.namespace_at)
            for address, servers in by_address.items()
        }
        fresh: dict[str, Listener] = {}
        told = cluster.zone.changed
        try:
            for address in by_address.keys() - self._listeners.keys():
                fresh[address] = await self._listen(address, by_address[address], cluster, composed[address])
            await self._take_health(config)
        except BaseException:
            cluster.zone.changed = told  # a new responder has taken it for itself
            for listener in fresh.values():
                listener.close()
            raise
        retired: list[Forwarder] = []
        for address in list(self._listeners):
            listener = self._listeners[address]
            retired += listener.composed.forwarders
            if address not in by_address:
                self._listeners.pop(address).close()
                continue
            now = listener.composed = composed[address]
            listener.responder.configure(cluster.zone, now.forwarder, now.handler)
        self._listeners |= fresh
        responders = [listener.responder for listener in self._listeners.values()]

        def changed(touched: Iterable[bytes]) -> None:
            touched = list(touched)
            for responder in responders:
                responder.forget(touched)

        cluster.zone.changed = changed
        self.config = config
        if self._collector is None:
            self._collector = metrics.register(responders[0], self._counters)
        if retired:
            self._spawn(self._retire(retired))
        for address, servers in by_address.items():
            responder = self._listeners[address].responder
            logged = any(server.errors for server in servers)
            responder.on_failure = log_failure if logged else None
        looping = {
            address
            for address, servers in by_address.items()
            if address in fresh and any(server.loop for server in servers)
        }
        if looping:
            forwarders = [each for address in looping for each in composed[address].forwarders]
            self._spawn(self._probe(responders, forwarders))

    async def _listen(
        self, address: str, servers: list[ServerOptions], cluster: Cluster, composed: Composed
    ) -> Listener:
        responder = Responder(cluster.zone, composed.forwarder, max_udp_size=self._options.max_udp_size)
        responder.configure(cluster.zone, composed.forwarder, composed.handler)
        opened = Servers(responder, self._counters)
        try:
            if servers[0].scheme == "tls":
                context = tls_context(servers[0].tls[0], servers[0].tls[1])
                await opened.start_tls([address], context)
            else:
                await opened.start([address])
        except BaseException:
            opened.close()
            raise
        return Listener(responder, opened, composed)

    async def _take_health(self, config: Config) -> None:
        """Serve the pages of ``health``, ``ready`` and ``prometheus`` at their addresses."""
        wanted = dict.fromkeys(each for each in (config.health, config.ready, config.prometheus) if each)
        fresh: dict[str, HealthServer] = {}
        try:
            for address in wanted.keys() - self._health.keys():
                fresh[address] = health = HealthServer("dns")
                health.add_page("/health", lambda: Page(200, b"OK"))
                health.add_page("/ready", self._ready_page)
                health.ready_check("synced", self._not_ready)
                await health.start(address)
        except (OSError, ValueError) as error:
            for health in fresh.values():
                await health.close()
            raise Fatal(str(error)) from None
        for address in self._health.keys() - wanted.keys():
            await self._health.pop(address).close()
        self._health |= fresh

    def _ready_page(self) -> Page:
        return Page(200, b"OK") if self._cluster.zone.synced else Page(503, b"kubernetes")

    def _not_ready(self) -> str | None:
        return None if self._cluster.zone.synced else "no list of the cluster's Services yet"

    def _new_cluster(self, config: Config) -> Cluster:
        cluster = Cluster(_kubernetes(config), self._options.kubeconfig)
        task = cluster.start()
        if task is not None:
            task.add_done_callback(self._followed)
        return cluster

    def _followed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._ended.done():
            self._ended.set_exception(error)

    def _changed(self) -> None:
        self._spawn(self.reload())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _retire(self, forwarders: list[Forwarder]) -> None:
        """Close forwarders once nothing asked through them can still be under way."""
        try:
            await asyncio.sleep(_RETIRE_SECONDS)
        finally:
            for forwarder in forwarders:
                await forwarder.close()

    async def _probe(self, responders: list[Responder], forwarders: list[Forwarder]) -> None:
        """See whether questions come back here, wherever they come in; if so, end."""
        probe = LoopProbe()
        for responder in responders:
            responder.probe = probe
        try:
            await asyncio.gather(*(probe.run(forwarder) for forwarder in forwarders))
        except Fatal as error:
            if not self._ended.done():
                self._ended.set_exception(error)
        finally:
            for responder in responders:
                responder.probe = None


def _kubernetes(config: Config) -> KubernetesOptions | None:
    return next((server.kubernetes for server in config.servers if server.kubernetes is not None), None)


def _by_address(config: Config) -> dict[str, list[ServerOptions]]:
    """The server blocks by the ``HOST:PORT`` at which they answer."""
    found: dict[str, list[ServerOptions]] = {}
    for server in config.servers:
        if server.scheme == "tls" and not server.tls:
            raise BadConfig(server.where, 'a tls:// zone needs a certificate: "tls CERT KEY"')
        for host in server.bind:
            address = f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"
            others = found.setdefault(address, [])
            if others and (others[0].scheme, others[0].tls) != (server.scheme, server.tls):
                raise BadConfig(server.where, f"{address} is served with other TLS settings already")
            others.append(server)
    return found
