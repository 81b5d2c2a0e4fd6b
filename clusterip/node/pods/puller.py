"""Having a container's image here: pull policies, pulls shared between Pods, back-off after failures.

As upstream's ``pkg/kubelet/images/image_manager.go``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from clusterip.node.files import UnsafePath
from clusterip.node.images import builtin
from clusterip.node.images.blobs import DigestMismatch
from clusterip.node.images.errors import PullError
from clusterip.node.images.manifest import Unsupported
from clusterip.node.images.reference import InvalidReference, Reference, parse
from clusterip.node.images.store import Image, ImageNotFound, ImageStore
from clusterip.node.pods.backoff import Backoff
from clusterip.node.pods.logins import login_for
from clusterip.objects.core.secret import Secret

Say = Callable[[str, str, str], None]
"""Records an Event: type, reason, message."""


class ImageError(Exception):
    """A container's image cannot be had; ``reason`` is what its status says in one word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class _Failure:
    backoff: Backoff = field(default_factory=lambda: Backoff(10.0, 300.0))
    until: float = 0.0
    message: str = ""


class ImagePuller:
    """Finds images in the store, and pulls those that are not there."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._failures: dict[tuple[str, str], _Failure] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(
        self, pod_uid: str, name: str, policy: str, secrets: Sequence[Secret], say: Say
    ) -> Image:
        """The image called ``name``, pulled if ``policy`` wants it.

        Raises:
            ImageError: it cannot be had now; a later try may succeed.
        """
        try:
            reference = parse(name)
        except InvalidReference as error:
            message = f'Failed to apply default image tag "{name}": {error}'
            say("Warning", "InspectFailed", message)
            raise ImageError("InvalidImageName", message) from error
        present = self._store.has(name)
        if policy == "Never" and not present:
            message = f'Container image "{name}" is not present with pull policy of Never'
            say("Warning", "ErrImageNeverPull", message)
            raise ImageError("ErrImageNeverPull", message)
        # What stands for another image is not to be had from that one's registry.
        here_only = builtin.is_builtin(reference) or self._store.aliases.resolve(name) != name
        if present and (policy != "Always" or here_only):
            found = await self._find(name)
            say("Normal", "Pulled", f'Container image "{name}" already present on machine')
            return found
        return await self._pull(pod_uid, reference, name, secrets, say)

    def forget(self, pod_uid: str) -> None:
        """Drop what is remembered of a Pod's failures."""
        for key in [key for key in self._failures if key[0] == pod_uid]:
            del self._failures[key]

    async def _pull(
        self, pod_uid: str, reference: Reference, name: str, secrets: Sequence[Secret], say: Say
    ) -> Image:
        from clusterip.node.images.registry import pull

        failure = self._failures.setdefault((pod_uid, name), _Failure())
        if time.monotonic() < failure.until:
            message = f'Back-off pulling image "{name}"'
            say("Normal", "BackOff", message)
            raise ImageError("ImagePullBackOff", f"{message}: {failure.message}")
        say("Normal", "Pulling", f'Pulling image "{name}"')
        began = time.monotonic()
        try:
            async with self._locks.setdefault(str(reference), asyncio.Lock()):
                login = login_for(reference, secrets)
                await pull(self._store, reference, login)
            waited = time.monotonic() - began
            image = await self._find(name)
        except (PullError, DigestMismatch, Unsupported, ImageError, OSError) as error:
            failure.until = time.monotonic() + failure.backoff.next()
            failure.message = f"ErrImagePull: {error}"
            say("Warning", "Failed", f'Failed to pull image "{name}": {error}')
            say("Warning", "Failed", "Error: ErrImagePull")
            raise ImageError("ErrImagePull", str(error)) from error
        self._failures.pop((pod_uid, name), None)
        took = f"{waited:.3f}s ({time.monotonic() - began:.3f}s including waiting)"
        size = f"Image size: {image.size} bytes."
        say("Normal", "Pulled", f'Successfully pulled image "{name}" in {took}. {size}')
        return image

    async def _find(self, name: str) -> Image:
        try:
            return await asyncio.to_thread(self._store.find, name)
        except (ImageNotFound, DigestMismatch, Unsupported, UnsafePath, msgspec.DecodeError) as error:
            raise ImageError("ImageInspectError", f'Failed to inspect image "{name}": {error}') from error
