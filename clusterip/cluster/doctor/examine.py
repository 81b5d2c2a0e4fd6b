"""All checks, one after another."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence

from clusterip.client.rest import Client
from clusterip.cluster.doctor import (
    certificates,
    clashes,
    clock,
    dns,
    kernel,
    leftovers,
    limits,
    parts,
    programs,
)
from clusterip.cluster.doctor.findings import Finding, Findings
from clusterip.cluster.doctor.patient import Patient

Check = Callable[[Patient, Findings], Awaitable[None] | None]

CHECKS: dict[str, Check] = {
    "kernel": kernel.check,
    "programs": programs.check,
    "leftovers": leftovers.check,
    "clashes": clashes.check,
    "disk": limits.check_disk,
    "limits": limits.check_limits,
    "clock": clock.check,
    "certificates": certificates.check,
    "parts": parts.check,
    "dns": dns.check,
}


async def examine(
    patient: Patient,
    names: Sequence[str],
    begin: Callable[[str], None],
    done: Callable[[list[Finding]], None],
) -> list[Finding]:
    """Make these checks (all if none is named). ``begin`` and ``done`` are told of each as it goes on."""
    if patient.api is None:
        return await _all(patient, names, begin, done)
    async with Client(patient.api) as client:
        return await _all(_connected(patient, client), names, begin, done)


def _connected(patient: Patient, client: Client) -> Patient:
    return Patient(patient.name, patient.paths, patient.config, patient.plan, patient.api, client)


async def _all(
    patient: Patient,
    names: Sequence[str],
    begin: Callable[[str], None],
    done: Callable[[list[Finding]], None],
) -> list[Finding]:
    everything: list[Finding] = []
    for name in names or CHECKS:
        begin(name)
        findings = Findings(name)
        try:
            working = CHECKS[name](patient, findings)
            if inspect.isawaitable(working):
                await working
        except PermissionError as error:
            findings.info(name, f"only root may look: {error.filename or error}", "run this as root")
        done(findings.found)
        everything += findings.found
    return everything
