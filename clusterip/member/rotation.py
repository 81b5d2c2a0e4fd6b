"""Renewing a node's certificates long before they expire."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from clusterip.client.errors import ApiError, Unreachable
from clusterip.client.rest import Client
from clusterip.member.errors import JoinError
from clusterip.member.files import Files
from clusterip.member.identities import Identity
from clusterip.member.requests import obtain
from clusterip.process import log

_RETRY_SECONDS = 10.0
_LONGEST_RETRY_SECONDS = 600.0
_LONGEST_SLEEP_SECONDS = 3600.0  # a machine that was suspended has a clock that jumped
_WAIT_SECONDS = 300.0

_log = log.get("member")


class Rotation:
    """Has every certificate renewed when its time has come. Parts read the files again by themselves."""

    def __init__(self, client: Client, files: Files, identities: Sequence[Identity]) -> None:
        self._client = client
        self._files = files
        self._identities = identities
        self.problems: dict[str, str] = {}

    async def run(self) -> None:
        delay = _RETRY_SECONDS
        while True:
            done = await self._round()
            delay = _RETRY_SECONDS if done else min(delay * 2, _LONGEST_RETRY_SECONDS)
            await asyncio.sleep(self._pause() if done else delay)

    def problem(self) -> str | None:
        """None while all are in time, for the health page."""
        late = [f"{name}: {why}" for name, why in self.problems.items()]
        return "; ".join(late) or None

    def _pause(self) -> float:
        due = min(self._files.renewal(identity) for identity in self._identities)
        return min(max((due - datetime.now(UTC)).total_seconds(), 1.0), _LONGEST_SLEEP_SECONDS)

    async def _round(self) -> bool:
        """Renew what is due; whether that worked."""
        for identity in self._identities:
            if self._files.renewal(identity) > datetime.now(UTC):
                self.problems.pop(identity.file, None)
                continue
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    self._files.write(identity, await obtain(self._client, identity))
            except (ApiError, Unreachable, JoinError, TimeoutError) as error:
                why = str(error) or f"not approved within {_WAIT_SECONDS:.0f} s"
                self.problems[identity.file] = why
                _log.warning("certificate not renewed, trying again", certificate=identity.file, error=why)
            else:
                self.problems.pop(identity.file, None)
                _log.info("certificate renewed", certificate=identity.file)
        return not self.problems
