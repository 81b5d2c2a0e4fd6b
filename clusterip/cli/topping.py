"""How ``clusterip top`` goes on, and what it looks like."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from clusterip.cli import rates
from clusterip.cli.connection import CommandError, Session
from clusterip.cli.sampling import Sample, sample
from clusterip.cli.tables import align

_FIRST_SECONDS = 1.0
"""Rates need two rounds; the first comes soon after the start."""

Rates = Sequence[rates.ServiceRates] | Sequence[rates.NodeRates] | Sequence[rates.DnsRates]


class Top:
    """A view that is shown again and again."""

    def __init__(self, session: Session, what: str, sort: str, *, all_namespaces: bool) -> None:
        self._session = session
        self._what = what
        self._sort = sort
        self._namespace = "" if all_namespaces else session.namespace
        self._all = all_namespaces

    async def run(self, interval: float, *, once: bool, as_json: bool) -> None:
        """Show it until interrupted, or ``once``. Raises CommandError, ApiError, Unreachable."""
        live = sys.stdout.isatty() and not once and not as_json
        if sys.stderr.isatty() and not live and interval >= 1:
            click.echo(f"counting for {interval:g} s ...", err=True)
        before = await self._sample()
        await asyncio.sleep(interval if once else min(_FIRST_SECONDS, interval))
        with _screen() if live else _nothing():
            while True:
                started = time.monotonic()
                now = await self._sample()
                found = self._rates(now, before)
                before = now
                if as_json:
                    click.echo(msgspec.json.encode({"time": time.time(), self._what: found}).decode())
                else:
                    self._show(found, live=live)
                if once:
                    return
                await asyncio.sleep(max(interval - (time.monotonic() - started), 0.0))

    async def _sample(self) -> Sample:
        found = await sample(self._session.client, self._what, self._namespace)
        if self._what != "dns" and found.nodes and not any(found.nodes.values()):
            raise CommandError(
                "error: no node's proxy tells of its Services on port 10249. It must be clusterip's, and"
                " reachable from the API server (--metrics-bind-address=0.0.0.0:10249)"
            )
        return found

    def _rates(self, now: Sample, before: Sample) -> Rates:
        if self._what == "services":
            return sorted(rates.services(now, before), key=_ORDERS[self._sort])
        if self._what == "nodes":
            return rates.nodes(now, before)
        return rates.dns(now, before)

    def _show(self, found: Rates, *, live: bool) -> None:
        rows = _TABLES[self._what](found, self._all)
        lines = [line.rstrip() for line in align(rows).splitlines()]
        if not live:
            click.echo("\n".join(lines))
            return
        size = shutil.get_terminal_size()
        head = f"clusterip top {self._what}  {time.strftime('%H:%M:%S')}  {len(rows) - 1} rows  Ctrl-C ends"
        shown = [head, "", *lines][: size.lines - 1]
        # Line by line over what is there: no flicker.
        text = "".join(f"{line[: size.columns]}\033[K\n" for line in shown)
        click.echo(f"\033[H{text}\033[J", nl=False)


@contextmanager
def _screen() -> Iterator[None]:
    """The terminal's other screen, without a cursor; what was there is back afterwards."""
    click.echo("\033[?1049h\033[?25l", nl=False)
    try:
        yield
    finally:
        click.echo("\033[?25h\033[?1049l", nl=False)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


_ORDERS: dict[str, Callable[[rates.ServiceRates], Any]] = {
    "connections": lambda each: (-each.connections, -each.open, each.namespace, each.name),
    "bytes": lambda each: (-each.sent - each.received, each.namespace, each.name),
    "open": lambda each: (-each.open, each.namespace, each.name),
    "latency": lambda each: (-(each.latency or 0.0), each.namespace, each.name),
    "name": lambda each: (each.namespace, each.name),
}


def _services(found: Sequence[rates.ServiceRates], namespaced: bool) -> list[list[str]]:
    rows = [
        ["NAME", "TYPE", "CLUSTER-IP", "ENDPOINTS", "OPEN", "CONN/S", "SENT/S", "RECEIVED/S", "LAST CHANGE"]
    ]
    for each in found:
        latency = f"not on {', '.join(each.unprogrammed[:2])}" if each.unprogrammed else _time(each.latency)
        rows.append(
            [
                *(each.name, each.type, each.clusterIP, str(each.endpoints), str(each.open)),
                *(_number(each.connections), _bytes(each.sent), _bytes(each.received), latency),
            ]
        )
    if namespaced:
        names = ["NAMESPACE", *(each.namespace for each in found)]
        rows = [[name, *row] for name, row in zip(names, rows, strict=True)]
    return rows


def _nodes(found: Sequence[rates.NodeRates], _: bool) -> list[list[str]]:
    header = ["NODE", "MODE", "OPEN", "CONN/S", "SENT/S", "RECEIVED/S", "SLOWEST CHANGE", "LOOK", "STATE"]
    rows = [header]
    for each in found:
        look = f"{each.tracked} in {_time(each.lookSeconds)}" if each.mode else "-"
        rows.append(
            [
                *(each.name, each.mode or "-", str(each.open), _number(each.connections)),
                *(_bytes(each.sent), _bytes(each.received), _time(each.latency), look, each.state),
            ]
        )
    return rows


def _dns(found: Sequence[rates.DnsRates], _: bool) -> list[list[str]]:
    rows = [
        ["SERVER", "QUESTIONS/S", "NXDOMAIN/S", "SERVFAIL/S", "ANSWERED IN", "CACHE HITS", "TOTAL", "STATE"]
    ]
    for each in found:
        hits = "-" if each.hitRatio is None else f"{100 * each.hitRatio:.0f}%"
        rows.append(
            [
                *(each.name, _number(each.questions), _number(each.nxdomain), _number(each.failures)),
                *(_time(each.latency), hits, str(each.total), each.state),
            ]
        )
    return rows


_TABLES: dict[str, Callable[[Any, bool], list[list[str]]]] = {
    "services": _services,
    "nodes": _nodes,
    "dns": _dns,
}


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
