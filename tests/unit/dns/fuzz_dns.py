"""What atheris runs: everything in DNS that reads what strangers send, with inputs that follow branches.

    python tests/unit/dns/fuzz_dns.py TARGET [CORPUS-DIRECTORY] [-runs=N] [-max_total_time=SECONDS]

An exception other than the documented one is a finding; so is an answer that no client could read.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["clusterip.dns"]):
    from clusterip.dns import names
    from clusterip.dns.config.corefile import parse_corefile
    from clusterip.dns.config.servers import build
    from clusterip.dns.config.source import BadConfig
    from clusterip.dns.forward import Forwarder
    from clusterip.dns.gotemplate import BadTemplate, Template
    from clusterip.dns.message import Malformed, read_records
    from clusterip.dns.plugins.text import BadRecord, parse_record
    from clusterip.dns.records import Node, Records
    from clusterip.dns.responder import Responder
    from clusterip.dns.zone import Zone

import dns.message


def _responder() -> Responder:
    zone = Zone("cluster.local", 5)
    zone.put_namespace("ns", True)
    node: Node = {1: (b"\x0a\0\0\1", b"\x0a\0\0\2"), 33: (b"\0\0\0\1\0\x50" + names.to_wire("a.b"),)}
    zone.put("web", Records({names.to_wire("web.ns.svc.cluster.local"): node}))
    zone.synced = True
    return Responder(zone, Forwarder(list))


RESPONDER = _responder()


LOOP = asyncio.new_event_loop()


def query(data: bytes) -> None:
    """A packet, first over UDP, then over TCP."""
    LOOP.run_until_complete(_query(data, tcp=False))
    LOOP.run_until_complete(_query(data, tcp=True))


async def _query(data: bytes, *, tcp: bool) -> None:
    sent: list[bytes] = []
    taken = RESPONDER.respond(
        data, lambda answer, **_: sent.append(answer), tcp=tcp, client=("192.0.2.1", 5353)
    )
    assert RESPONDER.errors == 0
    assert len(sent) == taken
    for answer in sent:
        assert answer[:2] == data[:2]
        assert len(answer) <= (65535 if tcp else 4096)
        dns.message.from_wire(answer)


def response(data: bytes) -> None:
    """What an upstream says."""
    with contextlib.suppress(Malformed):
        read_records(data)


def corefile(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    if "import" not in text:  # that reads files
        with contextlib.suppress(BadConfig):
            build(parse_corefile(text, "Corefile")[0])


def template(data: bytes) -> None:
    values = {"Name": "a.", "Match": ["a", "b"], "Group": {"a": "1"}}
    with contextlib.suppress(BadTemplate):
        Template(data.decode("utf-8", "replace")).fill(values)


def record(data: bytes) -> None:
    with contextlib.suppress(BadRecord):
        parse_record(data.decode("utf-8", "replace"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (query, response, corefile, template, record)
}


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
