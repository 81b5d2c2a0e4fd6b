"""What answers by one configuration, and takes over the next one without losing a question."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from clusterip.dns.clusters import Clusters
from clusterip.dns.config.model import Config
from clusterip.dns.config.source import BadConfig
from clusterip.dns.forward import Forwarder
from clusterip.dns.listeners import Listener, by_address
from clusterip.dns.metrics import Export, Reloads, Served
from clusterip.dns.options import Options
from clusterip.dns.pages import Pages
from clusterip.dns.plugins.compose import compose
from clusterip.dns.tlsfiles import files_of
from clusterip.dns.worker import Worker
from clusterip.dns.zone import Zone
from clusterip.process import Fatal, log
from clusterip.process.filewatch import FileWatch

_RETIRE_SECONDS = 10.0
"""For how long questions may still be under way by the configuration before."""
_PUBLISH_SECONDS = 1.0

_log = log.get("dns")


class Server:
    """Runs by the current configuration. ``load`` reads the one that is to be in force now."""

    def __init__(self, options: Options, load: Callable[[], Config], worker: Worker) -> None:
        self.config = Config(())
        self._options = options
        self._load = load
        self._worker = worker
        self._listeners: dict[str, Listener] = {}
        self._clusters = Clusters(options.kubeconfig, self._fail)
        self._pages = Pages(self._unready)
        self._export: Export | None = None
        self._reloads = Reloads()
        self._watch: FileWatch | None = None
        self._certificates: FileWatch | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reloading = asyncio.Lock()
        self._was_ready = False
        self._stopping = False

    @property
    def served(self) -> Sequence[Served]:
        return [listener.served for listener in self._listeners.values()]

    @property
    def zones(self) -> Sequence[Zone]:
        return self._clusters.zones

    @property
    def reloads(self) -> Reloads:
        return self._reloads

    async def start(self) -> None:
        """Answer by the configuration of now. Raises BadConfig, Fatal or OSError."""
        config = self._load()
        clusters = self._clusters.extended(config)
        try:
            await self._take(config, clusters)
        except BaseException:
            await clusters.close()
            raise
        self._export = Export(self, self._worker.board, self._worker.index)
        if config.reload:
            self._watch = FileWatch(lambda: self._spawn(self.reload()))
            self._watch.watch(config.files)
        if self._worker.board is not None:
            self._spawn(self._publish())

    async def run(self) -> None:
        """Until something fails for good. Raises what it was."""
        await self._ended

    async def stop(self) -> None:
        """Go on answering for as long as the configuration says, no longer ready."""
        self._stopping = True
        await asyncio.sleep(self.config.lameduck)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for watch in (self._watch, self._certificates):
            if watch is not None:
                watch.close()
        if self._export is not None:
            self._export.close()
        for listener in self._listeners.values():
            listener.close()
            await listener.end()
        await self._clusters.close()
        await self._pages.close()

    async def reload(self) -> None:
        """Take over the file's present content, or say what is wrong with it and go on as before."""
        async with self._reloading:
            try:
                config = self._load()
                if self._watch is not None:
                    self._watch.watch(config.files)
                if config == self.config:
                    return
                await self._replace(config)
            except (BadConfig, Fatal, OSError, TimeoutError) as error:
                why = str(error) or "the cluster was not listed in time"
                self._reloads.failed += 1
                _log.error("configuration not taken over", file=self.config.files[0], why=why)
                return
            self._reloads.done += 1
            _log.info("configuration taken over", file=config.files[0])

    async def _replace(self, config: Config) -> None:
        old = self._clusters
        new = old.extended(config)
        try:
            await new.wait_synced()  # until then the old ones answer
            await self._take(config, new)
        except BaseException:
            await new.close_but(old)
            raise
        await old.close_but(new)

    async def _take(self, config: Config, clusters: Clusters) -> None:
        """Put a configuration in force: first all that may fail, then all at once what shows."""
        blocks = by_address(config.servers)
        composed = {address: compose(servers, clusters.of, blocks) for address, servers in blocks.items()}
        fresh: dict[str, Listener] = {}
        told = {zone: zone.changed for zone in clusters.zones}
        try:
            for address in blocks.keys() - self._listeners.keys():
                listener = Listener(address, blocks[address], composed[address], self._options)
                fresh[address] = listener
                listener.bind(reuse_port=self._worker.board is not None)
            if self._worker.index == 0:
                await self._pages.serve((*config.health, *config.ready, *config.prometheus))
            await self._settle(config, clusters)
            for listener in fresh.values():
                await listener.serve()
        except BaseException as error:
            for zone, changed in told.items():
                zone.changed = changed  # a new responder has taken it for itself
            for listener in fresh.values():
                listener.close()
            if isinstance(error, ValueError):
                raise Fatal(str(error)) from None
            raise
        retired: list[Forwarder] = []
        for address in list(self._listeners):
            listener = self._listeners[address]
            if address in blocks:
                retired += listener.take(blocks[address], composed[address])
            else:
                self._listeners.pop(address).close()
                retired += listener.forwarders
        self._listeners |= fresh
        self._clusters = clusters
        self.config = config
        self._reloads.digest = _digest(config.files)
        self._tell_of_changes()
        self._watch_certificates()
        if retired:
            self._spawn(self._retire(retired))
        looping = [listener for listener in fresh.values() if listener.loops_matter]
        asking = [each for listener in looping for each in listener.forwarders if each.upstreams()]
        if asking:
            self._spawn(self._probe(asking))

    @staticmethod
    async def _settle(config: Config, clusters: Clusters) -> None:
        """Wait a little until everything is known: questions that wait too are spared a SERVFAIL."""
        timeouts = [each.kubernetes.startup_timeout for each in config.servers if each.kubernetes is not None]
        with contextlib.suppress(TimeoutError):
            await clusters.wait_synced(max(timeouts, default=0.0))

    def _tell_of_changes(self) -> None:
        """Let every responder forget what a change of any zone makes wrong."""
        responders = [listener.responder for listener in self._listeners.values()]

        def changed(touched: Iterable[bytes]) -> None:
            touched = list(touched)
            for responder in responders:
                responder.forget(touched)

        for zone in self._clusters.zones:
            zone.changed = changed

    def _watch_certificates(self) -> None:
        """Certificates are renewed as their files change, also without ``reload``."""
        options = [each.tls_options for each in self._listeners.values() if each.tls_options is not None]
        if options and self._certificates is None:
            self._certificates = FileWatch(self._renew)
        if self._certificates is not None:
            self._certificates.watch(files_of(options))

    def _renew(self) -> None:
        for listener in self._listeners.values():
            listener.renew_certificate()

    def _unready(self) -> str | None:
        if self._stopping:
            return "stopping"
        if not self.config.servers:
            return "starting"
        board = self._worker.board
        synced = self._clusters.synced and (board is None or board.synced(self._worker.index))
        self._was_ready = self._was_ready or synced
        if synced or (self._was_ready and not self.config.ready_continuously):
            return None
        return "no list of the cluster's Services yet"

    def _fail(self, error: BaseException) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _publish(self) -> None:
        """Tell the other workers what is counted, for ever."""
        assert self._export is not None
        while True:
            self._export.publish(synced=self._clusters.synced)
            await asyncio.sleep(_PUBLISH_SECONDS)

    async def _retire(self, forwarders: list[Forwarder]) -> None:
        """Close forwarders once nothing asked through them can still be under way."""
        try:
            await asyncio.sleep(_RETIRE_SECONDS)
        finally:
            for forwarder in forwarders:
                await forwarder.close()

    async def _probe(self, forwarders: list[Forwarder]) -> None:
        """See whether questions come back here, wherever they come in; if so, end."""
        for listener in self._listeners.values():
            listener.watch_for_loops(self._worker.probe)
        try:
            async with asyncio.TaskGroup() as group:
                for forwarder in forwarders:
                    group.create_task(self._worker.probe.run(forwarder))
        except* Fatal as errors:
            self._fail(errors.exceptions[0])


def _digest(files: Sequence[str]) -> str:
    try:
        text = b"".join(Path(file).read_bytes() for file in files)
    except OSError:
        return ""  # it was there a moment ago; the next reload will tell
    return hashlib.sha512(text).hexdigest() if files else ""
