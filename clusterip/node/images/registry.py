"""Pulling images from a registry (the OCI distribution API, version 2) over HTTP(S).

Plain HTTP only to this machine itself. A registry that wants a token says where to get it in
``WWW-Authenticate``; see https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import base64
import platform
import re

import aiohttp
import msgspec

from clusterip.node.images import manifest as oci
from clusterip.node.images.blobs import CHUNK, DigestMismatch, digest_of
from clusterip.node.images.errors import PullError
from clusterip.node.images.login import Login
from clusterip.node.images.reference import Reference
from clusterip.node.images.store import ImageStore

_ACCEPT = ", ".join((*oci.MANIFEST_TYPES, *oci.INDEX_TYPES))
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_MAXIMUM_MANIFEST = 4 * 1024 * 1024


async def pull(store: ImageStore, reference: Reference, login: Login | None = None) -> str:
    """Bring an image into the store under its name; the digest of its manifest.

    Raises:
        PullError: the registry cannot be reached, does not have it or does not let us.
        DigestMismatch, Unsupported: what it sent is damaged or for another platform.
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=30, sock_read=60)
    with store.adding():
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            registry = _Registry(session, store, reference, login)
            try:
                digest = await registry.fetch()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise PullError(
                    f'failed to pull image "{reference}": {registry.base}: {_reason(error)}'
                ) from error
        store.tag(reference, digest, pulled=True)
    return digest


def _reason(error: Exception) -> str:
    """Why a request failed, without what only aiohttp's own users understand."""
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.strerror:
        return error.os_error.strerror
    return str(error) or type(error).__name__


class _Registry:
    def __init__(
        self, session: aiohttp.ClientSession, store: ImageStore, reference: Reference, login: Login | None
    ) -> None:
        host = "registry-1.docker.io" if reference.registry == "docker.io" else reference.registry
        local = host.partition(":")[0] in ("localhost", "127.0.0.1") or host.startswith("[::1]")
        self.base = f"{'http' if local else 'https'}://{host}/v2/{reference.repository}"
        self._session = session
        self._store = store
        self._reference = reference
        self._login = login
        self._authorization = ""

    async def fetch(self) -> str:
        descriptor, data = await self._manifest(self._reference.digest or self._reference.tag)
        if descriptor.mediaType in oci.INDEX_TYPES:
            index = msgspec.json.decode(data, type=oci.Index)
            chosen = oci.choose(index, oci.go_architecture(platform.machine()))
            descriptor, data = await self._manifest(chosen.digest)
        manifest = msgspec.json.decode(data, type=oci.Manifest)
        for part in (manifest.config, *manifest.layers):
            if not self._store.blobs.has(part.digest):
                await self._blob(part.digest)
        return self._store.blobs.put(data)

    async def _manifest(self, name: str) -> tuple[oci.Descriptor, bytes]:
        async with await self._get(f"/manifests/{name}", accept=_ACCEPT) as response:
            data = await response.content.read(_MAXIMUM_MANIFEST + 1)
            while len(data) <= _MAXIMUM_MANIFEST and (more := await response.content.read(CHUNK)):
                data += more
            media_type = response.content_type
        if len(data) > _MAXIMUM_MANIFEST:
            raise PullError(f'the manifest of "{self._reference}" is larger than {_MAXIMUM_MANIFEST} bytes')
        found = digest_of(data)
        if name.startswith("sha256:") and name != found:
            raise DigestMismatch(f"the registry sent manifest {found} where {name} was asked for")
        return oci.Descriptor(mediaType=media_type, digest=found, size=len(data)), data

    async def _blob(self, digest: str) -> None:
        async with await self._get(f"/blobs/{digest}") as response:
            with self._store.blobs.writer() as writer:
                async for chunk in response.content.iter_chunked(CHUNK):
                    writer.write(chunk)
                writer.commit(digest)

    async def _get(self, path: str, accept: str = "*/*") -> aiohttp.ClientResponse:
        response = await self._send(path, accept)
        if response.status == 401:
            challenge = response.headers.get("WWW-Authenticate", "")
            response.release()
            await self._authenticate(challenge)
            response = await self._send(path, accept)
        if response.status == 200:
            return response
        response.release()
        if response.status == 404:
            raise PullError(f'failed to pull image "{self._reference}": {self.base}{path}: not found')
        if response.status in (401, 403):
            raise PullError(
                f'failed to pull image "{self._reference}": pull access denied, '
                "repository does not exist or may require authorization"
            )
        raise PullError(
            f'failed to pull image "{self._reference}": {self.base}{path}: '
            f"unexpected status {response.status}"
        )

    async def _send(self, path: str, accept: str) -> aiohttp.ClientResponse:
        headers = {"Accept": accept}
        if self._authorization:
            headers["Authorization"] = self._authorization
        return await self._session.get(self.base + path, headers=headers)

    async def _authenticate(self, challenge: str) -> None:
        scheme, _, rest = challenge.partition(" ")
        basic = ""
        if self._login:
            pair = f"{self._login.username}:{self._login.password}"
            basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if scheme.lower() == "basic" and basic:
            self._authorization = basic
            return
        parameters = dict(_CHALLENGE.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in parameters:
            return
        query = {key: parameters[key] for key in ("service", "scope") if key in parameters}
        headers = {"Authorization": basic} if basic else {}
        async with self._session.get(parameters["realm"], params=query, headers=headers) as response:
            if response.status != 200:
                raise PullError(
                    f'failed to pull image "{self._reference}": {parameters["realm"]} '
                    f"refused a token (status {response.status})"
                )
            answer = msgspec.json.decode(await response.read(), type=dict[str, object])
        self._authorization = f"Bearer {answer.get('token') or answer.get('access_token')}"
