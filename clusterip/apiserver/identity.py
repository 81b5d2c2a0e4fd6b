"""The Lease by which an API server shows that it runs: ``apiserver-HASH`` in ``kube-system``.

As upstream's feature ``APIServerIdentity`` (``pkg/controlplane/apiserver/server.go``) with its collection
of expired Leases. ``kubectl -n kube-system get leases`` then lists the servers of a cluster.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import uuid
from typing import Any

from clusterip.apiserver.generic import Objects
from clusterip.apiserver.peers import Server
from clusterip.apiserver.status import StatusError
from clusterip.objects import times
from clusterip.objects.coordination.lease import LEASES, Lease
from clusterip.objects.meta import DeleteOptions, ObjectMeta

NAMESPACE = "kube-system"
COMPONENT_LABEL = "apiserver.kubernetes.io/identity"
COMPONENT = "kube-apiserver"
HOSTNAME_LABEL = "kubernetes.io/hostname"
DURATION_SECONDS = 3600
RENEW_SECONDS = 10.0
ALONE_RENEW_SECONDS = 600.0
"""Where nobody else can be, nobody waits for a sign of life, and each costs a write to the disk."""


class Identity:
    """One server's Lease, and the removal of those of servers that are gone."""

    def __init__(self, objects: Objects, own: Server) -> None:
        self._objects = objects
        self._hostname = socket.gethostname()
        # Upstream hashes the host's name only; here several servers may run on one host.
        seed = f"{self._hostname}/{COMPONENT}/{own.address}/{own.port}".encode()
        digest = base64.b32encode(hashlib.sha256(seed).digest()[:16]).decode()
        self.name = f"apiserver-{digest.rstrip('=').lower()}"
        self._holder = f"{self.name}_{uuid.uuid4()}"
        self._interval = RENEW_SECONDS if objects.store.shared else ALONE_RENEW_SECONDS
        self._renew_at = 0.0
        self._collect_at = 0.0

    async def round(self) -> None:
        """Renew the Lease when it is time to, and once an hour remove expired ones."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._renew_at - loop.time()))
        await self._renew()
        self._renew_at = loop.time() + self._interval
        if loop.time() >= self._collect_at:
            await self._collect()
            self._collect_at = loop.time() + DURATION_SECONDS

    async def _renew(self) -> None:
        lease = Lease(
            kind=LEASES.kind,
            apiVersion=LEASES.api_version,
            metadata=ObjectMeta(name=self.name, namespace=NAMESPACE),
        )
        try:
            await self._objects.update(LEASES, NAMESPACE, self.name, self._held)
        except StatusError as error:
            if error.status.reason != "NotFound":
                raise
            await self._objects.create(LEASES, NAMESPACE, self._held(lease))

    def _held(self, lease: Any) -> Any:
        spec = lease.spec
        spec.holderIdentity = self._holder
        spec.leaseDurationSeconds = DURATION_SECONDS
        spec.renewTime = times.now_micro()
        own = {COMPONENT_LABEL: COMPONENT, HOSTNAME_LABEL: self._hostname}
        lease.metadata.labels = {**lease.metadata.labels, **own}
        return lease

    async def _collect(self) -> None:
        for entry in self._objects.cache.of(LEASES).entries(NAMESPACE):
            if entry.labels.get(COMPONENT_LABEL) != COMPONENT or not _expired(entry.decode()):
                continue
            try:
                await self._objects.delete(LEASES, NAMESPACE, entry.name, DeleteOptions())
            except StatusError as error:
                if error.status.reason != "NotFound":  # another server removed it
                    raise


def _expired(lease: Lease) -> bool:
    spec = lease.spec
    if spec.renewTime is None or spec.leaseDurationSeconds is None:
        return True
    try:
        return times.seconds_since(spec.renewTime) > spec.leaseDurationSeconds
    except ValueError:  # somebody else wrote something there that is no time
        return True
