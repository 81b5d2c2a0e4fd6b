"""The directory of static Pods (``--pod-manifest-path``), followed as its files change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from clusterip.node.pods.static import manifest
from clusterip.node.pods.static.manifest import ManifestError
from clusterip.node.runtime.inotify import Inotify
from clusterip.objects.core.pod import Pod
from clusterip.process import log

_log = log.get("node")

_CHECK_SECONDS = 20.0  # fileCheckFrequency: for directories that are made later, and lost notices

Report = Callable[[Path, str], None]
"""Is told of a file that holds no Pod, and why; once for each content."""


class StaticDirectory:
    """Reads the files of a directory, again whenever one of them changes."""

    def __init__(self, path: Path, node: str, report: Report) -> None:
        self._path = path
        self._node = node
        self._report = report
        self._problems: dict[Path, str] = {}

    def read(self) -> dict[str, Pod]:
        """The Pods that the files hold now, by UID. Of two files with the same Pod the first counts."""
        found: dict[str, Pod] = {}
        names: dict[tuple[str, str], Path] = {}
        problems: dict[Path, str] = {}
        for path in self._files():
            try:
                pod = manifest.read(path, self._node)
                name = pod.metadata.namespace, pod.metadata.name
                if name in names:
                    raise ManifestError(f"the same Pod as in {names[name]}")
                names[name] = path
                found[pod.metadata.uid] = pod
            except FileNotFoundError:
                continue  # just removed
            except (ManifestError, OSError) as error:
                problems[path] = str(error)
        for path, problem in problems.items():
            if self._problems.get(path) != problem:
                self._report(path, problem)
        self._problems = problems
        return found

    async def follow(self, inotify: Inotify, changed: Callable[[Mapping[str, Pod]], None]) -> None:
        """Call back with all Pods, now and at every change, for ever."""
        wake = asyncio.Event()
        last: dict[str, Pod] | None = None
        while True:
            wake.clear()
            stop = self._watch(inotify, wake)
            try:
                found = await asyncio.to_thread(self.read)
                if last is None or found.keys() != last.keys():
                    changed(found)
                    last = found
                await asyncio.wait_for(wake.wait(), _CHECK_SECONDS)
            except TimeoutError:
                continue
            finally:
                stop()

    def _watch(self, inotify: Inotify, wake: asyncio.Event) -> Callable[[], None]:
        try:
            return inotify.watch(self._path, lambda _name: wake.set(), removals=True)
        except OSError as error:
            _log.debug("static pods not watched", directory=str(self._path), error=str(error))
            return lambda: None

    def _files(self) -> list[Path]:
        try:
            entries = sorted(self._path.iterdir())
        except OSError as error:
            _log.warning("static pods not read", directory=str(self._path), error=str(error))
            return []
        return [entry for entry in entries if not entry.name.startswith(".") and entry.is_file()]
