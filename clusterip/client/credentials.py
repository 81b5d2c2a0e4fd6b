"""Who the client says it is: tokens, token files, passwords. Credential plugins are in ``plugin``.

Client certificates of a kubeconfig belong to the TLS context and are handled in ``tls``.
"""

from __future__ import annotations

import base64
import logging
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)


class CredentialsError(Exception):
    """Credentials cannot be read or made; the message says which and why."""


class Credentials(ABC):
    """Something that knows the value of the ``Authorization`` header, and perhaps a client certificate."""

    @abstractmethod
    async def authorization(self) -> str | None:
        """The header's value, or None to send none. Raises CredentialsError."""

    @property
    def certificate(self) -> bytes:
        """The client certificate and its key (PEM) as of the last ``authorization``; mostly empty."""
        return b""

    def refused(self) -> None:
        """The server has answered 401: what is kept must be got anew for the next request."""
        return


@dataclass(frozen=True)
class Anonymous(Credentials):
    """No header: the TLS client certificate, if any, speaks for us."""

    async def authorization(self) -> str | None:
        return None


@dataclass(frozen=True)
class Fixed(Credentials):
    """A header that never changes."""

    value: str = field(repr=False)

    async def authorization(self) -> str | None:
        return self.value


def bearer(token: str) -> Fixed:
    return Fixed(f"Bearer {token}")


def basic(username: str, password: str) -> Fixed:
    return Fixed("Basic " + base64.b64encode(f"{username}:{password}".encode()).decode())


class TokenFile(Credentials):
    """A token that somebody renews in place, as kubelets do for service accounts.

    Once there was one, it is used for as long as the file cannot be read, as client-go does: whoever renews
    it may be at it just now.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._read: tuple[tuple[int, int], str] | None = None

    async def authorization(self) -> str | None:
        try:
            found = os.stat(self._path)
            stamp = (found.st_mtime_ns, found.st_ino)
            if self._read is None or self._read[0] != stamp:
                token = self._path.read_text().strip()
                if not token:
                    raise OSError(0, "it is empty")
                self._read = (stamp, "Bearer " + token)
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            if self._read is None:
                raise CredentialsError(f"cannot read the token file {self._path}: {why}") from error
            logger.warning(
                "going on with the last token", extra={"fields": {"file": self._path, "error": why}}
            )
        return self._read[1]

    def refused(self) -> None:
        if self._read is not None:
            self._read = ((0, 0), self._read[1])  # to be read again, whatever its time says
