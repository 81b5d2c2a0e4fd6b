"""Who the client says it is: tokens, token files, passwords and credential plugins.

Client certificates belong to the TLS context and are handled in ``config``.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from clusterip.objects import times


class CredentialsError(Exception):
    """Credentials cannot be read or made; the message says which and why."""


class Credentials(Protocol):
    """Something that knows the value of the ``Authorization`` header."""

    async def authorization(self) -> str | None:
        """The header's value, or None to send none. Raises CredentialsError."""
        ...


@dataclass(frozen=True)
class Anonymous:
    """No header: the TLS client certificate, if any, speaks for us."""

    async def authorization(self) -> str | None:
        return None


@dataclass(frozen=True)
class Fixed:
    """A header that never changes."""

    value: str = field(repr=False)

    async def authorization(self) -> str | None:
        return self.value


def bearer(token: str) -> Fixed:
    return Fixed(f"Bearer {token}")


def basic(username: str, password: str) -> Fixed:
    return Fixed("Basic " + base64.b64encode(f"{username}:{password}".encode()).decode())


class TokenFile:
    """A token that somebody renews in place, as kubelets do for service accounts."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._read: tuple[int, str] | None = None

    async def authorization(self) -> str | None:
        try:
            modified = os.stat(self._path).st_mtime_ns
            if self._read is None or self._read[0] != modified:
                self._read = (modified, "Bearer " + self._path.read_text().strip())
        except OSError as error:
            raise CredentialsError(f"cannot read the token file {self._path}: {error.strerror}") from error
        return self._read[1]


class _ExecStatus(msgspec.Struct):
    token: str = ""
    expirationTimestamp: str | None = None


class _ExecCredential(msgspec.Struct):
    apiVersion: str = ""
    status: _ExecStatus | None = None


class Plugin:
    """A program that prints an ``ExecCredential`` (``client.authentication.k8s.io``), as clouds use.

    The token is kept until it expires; without an expiry, for the life of the process, as client-go.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], api_version: str) -> None:
        self._command = list(command)
        info = {"apiVersion": api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        self._environment = {
            **os.environ,
            **environment,
            "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode(),
        }
        self._current: _ExecStatus | None = None
        self._lock = asyncio.Lock()

    async def authorization(self) -> str | None:
        async with self._lock:
            expiry = self._current.expirationTimestamp if self._current else None
            if self._current is None or (expiry is not None and times.seconds_since(expiry) > -10):
                self._current = await self._ask()
        return f"Bearer {self._current.token}"

    async def _ask(self) -> _ExecStatus:
        program = self._command[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise CredentialsError(
                f"cannot run the credential plugin {program!r}: {error.strerror}; "
                "install it or choose another user in the kubeconfig"
            ) from error
        output, errors = await process.communicate()
        if process.returncode:
            text = errors.decode(errors="replace").strip()
            raise CredentialsError(f"credential plugin {program!r} exited with {process.returncode}: {text}")
        try:
            status = msgspec.json.decode(output, type=_ExecCredential).status
        except msgspec.DecodeError as error:
            raise CredentialsError(
                f"credential plugin {program!r} printed no ExecCredential: {error}"
            ) from error
        if status is None or not status.token:
            raise CredentialsError(f"credential plugin {program!r} gave no token")
        return status
