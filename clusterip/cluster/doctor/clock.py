"""Whether this machine and the API server agree on what time it is."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

from clusterip.client.config import Config
from clusterip.cluster.doctor.findings import Findings
from clusterip.cluster.doctor.patient import Patient

_SECONDS = 3.0
_LITTLE, _MUCH = 2.0, 30.0


async def check(patient: Patient, found: Findings) -> None:
    if patient.api is None:
        found.info("clock", "there is no API server to compare it with")
        return
    try:
        difference = await asyncio.to_thread(_difference, patient.api)
    except (OSError, ValueError, TypeError) as error:
        found.info("clock", f"{patient.api.server} does not say what time it is: {error}")
        return
    text = f"is {abs(difference):.0f} s {'ahead of' if difference > 0 else 'behind'} the API server's"
    remedy = "set it, and keep it with an NTP client (chrony, systemd-timesyncd) on all machines"
    if abs(difference) >= _MUCH:
        found.error("clock", f"{text}: certificates, tokens and leases go by it", remedy)
    elif abs(difference) > _LITTLE:
        found.warning("clock", text, remedy)
    else:
        found.ok("clock", "is the API server's")


def _difference(api: Config) -> float:
    """How many seconds this clock is ahead; the header has whole seconds. Raises OSError, ValueError."""
    request = urllib.request.Request(f"{api.server}/version", method="GET")
    started = time.time()
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS, context=api.ssl_context) as answer:
            told = answer.headers["Date"]
    except urllib.error.HTTPError as error:  # who may not ask is told the time all the same
        told = error.headers["Date"]
    middle = (started + time.time()) / 2
    difference = middle - (parsedate_to_datetime(told).timestamp() + 0.5)
    return difference if abs(difference) > 1 else 0.0
