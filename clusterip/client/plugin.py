"""Credential plugins: programs that print an ``ExecCredential``, as clouds use.

Upstream: ``client-go/plugin/pkg/client/auth/exec``.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from clusterip.client.credentials import Credentials, CredentialsError
from clusterip.objects import times

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
INTERACTIVE_MODES = ("Never", "IfAvailable", "Always")


class ClusterInfo(msgspec.Struct, rename="kebab", omit_defaults=True):
    """What a plugin may be told of the cluster (``provideClusterInfo``)."""

    server: str = msgspec.field(default="")
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    certificate_authority_data: str = ""
    """PEM, in base64."""
    proxy_url: str = ""
    disable_compression: bool = False
    config: Any = None


class _Status(msgspec.Struct):
    token: str = ""
    expirationTimestamp: str | None = None
    clientCertificateData: str = ""
    clientKeyData: str = ""


class _ExecCredential(msgspec.Struct):
    apiVersion: str = ""
    kind: str = ""
    status: _Status | None = None


class Plugin(Credentials):
    """Asks a program for a token, a client certificate, or both.

    They are kept until they expire or the server refuses them; without an expiry for the life of the process.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        api_version: str,
        *,
        interactive_mode: str = "IfAvailable",
        install_hint: str = "",
        cluster: ClusterInfo | None = None,
    ) -> None:
        """Raises ValueError: the version of the interface or the mode is unknown."""
        if api_version not in VERSIONS:
            raise ValueError(f"the credential plugin's apiVersion must be {' or '.join(VERSIONS)}")
        if interactive_mode not in INTERACTIVE_MODES:
            raise ValueError(f"interactiveMode must be one of {', '.join(INTERACTIVE_MODES)}")
        self._command = list(command)
        self._added = dict(environment)
        self._api_version = api_version
        self._interactive_mode = interactive_mode
        self._install_hint = install_hint
        self._cluster = cluster
        self._current: _Status | None = None
        self._lock = asyncio.Lock()

    async def authorization(self) -> str | None:
        async with self._lock:
            expiry = self._current.expirationTimestamp if self._current else None
            if self._current is None or (expiry is not None and times.seconds_since(expiry) > -10):
                self._current = await self._ask()
            token = self._current.token
        return f"Bearer {token}" if token else None

    @property
    def certificate(self) -> bytes:
        if self._current is None or not self._current.clientCertificateData:
            return b""
        return f"{self._current.clientCertificateData}\n{self._current.clientKeyData}\n".encode()

    def refused(self) -> None:
        self._current = None

    @property
    def _interactive(self) -> bool:
        """Whether the program may ask the person at the terminal. Raises CredentialsError."""
        at_terminal = sys.stdin is not None and sys.stdin.isatty()
        if self._interactive_mode == "Always" and not at_terminal:
            raise CredentialsError(
                f"the credential plugin {self._command[0]!r} wants to ask somebody, and there is no terminal"
            )
        return self._interactive_mode != "Never" and at_terminal

    def _environment(self, interactive: bool) -> dict[str, str]:
        spec: dict[str, Any] = {"interactive": interactive}
        if self._cluster is not None:
            spec["cluster"] = self._cluster
        info = {"apiVersion": self._api_version, "kind": "ExecCredential", "spec": spec}
        return {**os.environ, **self._added, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}

    async def _ask(self) -> _Status:
        program = self._command[0]
        interactive = self._interactive
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment(interactive),
                stdin=None if interactive else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = self._install_hint or "install it or choose another user in the kubeconfig"
            raise CredentialsError(
                f"cannot run the credential plugin {program!r}: {error.strerror}; {hint}"
            ) from error
        output, errors = await process.communicate()
        if process.returncode:
            text = errors.decode(errors="replace").strip()
            raise CredentialsError(f"credential plugin {program!r} exited with {process.returncode}: {text}")
        return self._understood(output)

    def _understood(self, output: bytes) -> _Status:
        name = f"credential plugin {self._command[0]!r}"
        try:
            answer = msgspec.json.decode(output, type=_ExecCredential)
        except msgspec.DecodeError as error:
            raise CredentialsError(f"{name} printed no ExecCredential: {error}") from error
        if answer.kind != "ExecCredential" or answer.apiVersion != self._api_version:
            raise CredentialsError(
                f"{name} was asked for an ExecCredential of {self._api_version}, and answered with"
                f" {answer.kind or 'nothing'} of {answer.apiVersion or 'no version'}"
            )
        status = answer.status
        if status is None or not (status.token or status.clientCertificateData or status.clientKeyData):
            raise CredentialsError(f"{name} gave neither a token nor a certificate with its key")
        if bool(status.clientCertificateData) != bool(status.clientKeyData):
            raise CredentialsError(f"{name} gave a certificate or a key alone")
        return status


def encoded(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()
