"""From server blocks to the model."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from clusterip.dns.config import (
    answering,
    caching,
    forwarding,
    kubernetes,
    listening,
    rewriting,
    shaping,
    values,
)
from clusterip.dns.config.corefile import parse_corefile
from clusterip.dns.config.model import Config, ServerOptions
from clusterip.dns.config.source import BadConfig, Block, Directive, Where
from clusterip.dns.config.yaml import parse_yaml
from clusterip.process import log

_Scheme = Literal["dns", "tls"]
_PORTS: dict[str, int] = {"dns": 53, "tls": 853}
_WITHOUT_EFFECT = {
    "pprof": "without effect: it shows the insides of a Go program",
    "trace": "without effect: queries are not traced; log and metrics tell of them",
    "debug": "without effect: -v 4 shows debug lines",
    "multisocket": "without effect: --workers N serves a port by several processes",
    "cancel": "without effect: no question waits longer than 5 seconds for others",
    "shed": "without effect: what does not fit into the socket's buffer is dropped by the kernel",
}
"""Plugins that change nothing of an answer, and why nothing needs to be done for them."""
_NOT_HERE = {
    *("auto", "azure", "clouddns", "dnssec", "dnstap", "erratic", "etcd", "file", "geoip", "grpc"),
    *("grpc_server", "https", "https3", "k8s_external", "nomad", "on", "proxyproto", "quic", "route53"),
    *("secondary", "sign", "tsig", "view"),
}
"""The rest of CoreDNS's plugins (``plugin.cfg``)."""
_log = log.get("dns")


def load(path: str, port: int = 53) -> Config:
    """Read a configuration: YAML if the file's name ends so, else a Corefile.

    ``port`` is for server blocks that name none.

    Raises:
        BadConfig: it cannot be read or used.
    """
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise BadConfig(None, f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadConfig(None, f"cannot read {path}: it is not UTF-8") from None
    if path.endswith((".yaml", ".yml")):
        blocks, imported = parse_yaml(text, path), list[str]()
    else:
        blocks, imported = parse_corefile(text, path)
    return replace(build(blocks, port), files=(path, *imported))


def build(blocks: list[Block], port: int = 53) -> Config:
    """Check the blocks and give them their types. Raises BadConfig."""
    if not blocks:
        raise BadConfig(None, "the configuration has no server block")
    config = _Builder(port)
    for block in blocks:
        config.add(block)
    return config.config


class _Builder:
    def __init__(self, port: int) -> None:
        self.config = Config(())
        self._port = port
        self._taken: dict[tuple[bytes, int, str], Where] = {}

    def add(self, block: Block) -> None:
        for scheme, port, zones in _keys(block, self._port):
            server = ServerOptions(zones, port, block.where, scheme)
            reader = _Server(server, self.config)
            for line in block:
                reader.read(line)
            self.config = reader.config
            server = reader.server
            for zone in server.zones:
                for address in server.bind:
                    before = self._taken.setdefault((zone, port, address), block.where)
                    if before is not block.where:
                        raise BadConfig(
                            block.where, f"the same zone and port as the server block at {before}"
                        )
            self.config = replace(self.config, servers=(*self.config.servers, server))


def _keys(block: Block, default: int) -> list[tuple[_Scheme, int, tuple[bytes, ...]]]:
    """The zones of a block by scheme and port."""
    place = Directive("server block", [], block.where)
    found: dict[tuple[_Scheme, int], dict[bytes, None]] = {}
    for key in block.keys:
        scheme, separator, rest = key.rpartition("://")
        kind: _Scheme = "dns"
        if separator:
            if scheme not in get_args(_Scheme):
                place.fail(f"{key}: only dns:// and tls:// are served")
            kind = "tls" if scheme == "tls" else "dns"
        text, colon, number = rest.rpartition(":")
        if not colon or "/" in number:  # the colons of an IPv6 network
            text, number = rest, ""
        port = values.integer(place, number, 1, 65535) if number else _port_of(kind, default)
        found.setdefault((kind, port), {}).update(dict.fromkeys(values.zones(place, [text or "."])))
    return [(kind, port, tuple(zones)) for (kind, port), zones in found.items()]


def _port_of(scheme: str, default: int) -> int:
    return default if scheme == "dns" else _PORTS[scheme]


class _Server:
    """Reads the directives of one server block."""

    def __init__(self, server: ServerOptions, config: Config) -> None:
        self.server = server
        self.config = config
        self._root = ""
        zones = server.zones
        self._readers: dict[str, Callable[[Directive], None]] = {
            "kubernetes": lambda d: self._once(d, kubernetes=kubernetes.kubernetes(d, zones)),
            "forward": lambda d: self._put(forwards=(*self.server.forwards, forwarding.forward(d))),
            "cache": lambda d: self._once(d, cache=caching.cache(d, zones)),
            "hosts": lambda d: self._once(d, hosts=shaping.hosts(d, zones, self._root)),
            "rewrite": lambda d: self._put(rewrites=(*self.server.rewrites, rewriting.rewrite(d))),
            "template": lambda d: self._put(templates=(*self.server.templates, shaping.template(d, zones))),
            "autopath": lambda d: self._once(d, autopath=kubernetes.autopath(d, zones)),
            "acl": lambda d: self._put(acl=(*self.server.acl, *shaping.acl(d, zones))),
            "log": lambda d: self._put(logs=(*self.server.logs, shaping.log(d, zones))),
            "dns64": lambda d: self._once(d, dns64=shaping.dns64(d)),
            "ttl": lambda d: self._once(d, ttl=shaping.ttl(d)),
            "any": lambda d: self._once(d, any=d.flag()),
            "minimal": lambda d: self._once(d, minimal=d.flag()),
            "whoami": lambda d: self._once(d, whoami=d.flag()),
            "local": lambda d: self._once(d, local=answering.local(d)),
            "nsid": lambda d: self._once(d, nsid=" ".join(d.args)),
            "chaos": lambda d: self._once(d, chaos=answering.chaos(d)),
            "bufsize": self._bufsize,
            "header": lambda d: self._put(headers=(*self.server.headers, *answering.header(d))),
            "transfer": lambda d: self._put(transfers=(*self.server.transfers, answering.transfer(d, zones))),
            "metadata": lambda d: self._once(d, metadata=values.zones(d, d.args) or zones),
            "bind": self._bind,
            "tls": lambda d: self._once(d, tls=listening.tls(d, self._root)),
            "timeouts": lambda d: self._once(d, tcp=listening.timeouts(d)),
            "loop": lambda d: self._once(d, loop=d.flag()),
            "errors": lambda d: self._once(d, errors=answering.errors(d)),
            "loadbalance": lambda d: self._once(d, loadbalance=answering.loadbalance(d, self._root)),
            "health": self._health,
            "ready": self._ready,
            "prometheus": self._prometheus,
            "reload": self._reload,
            "root": self._set_root,
            **dict.fromkeys(_WITHOUT_EFFECT, self._note),
        }

    def read(self, line: Directive) -> None:
        """Raises BadConfig."""
        reader = self._readers.get(line.name)
        if reader is None:
            known = ", ".join(sorted(self._readers))
            whose = "CoreDNS's plugin" if line.name in _NOT_HERE else "there is no plugin"
            here = "is not understood here" if line.name in _NOT_HERE else "here"
            raise BadConfig(line.where, f'{whose} "{line.name}" {here}; known are {known}')
        reader(line)
        self._put(plugins={**self.server.plugins, line.name: line.where})

    def _put(self, **changes: Any) -> None:
        self.server = replace(self.server, **changes)

    def _once(self, line: Directive, **changes: Any) -> None:
        before = self.server.plugins.get(line.name)
        if before is not None:
            line.fail(f"it is there already, at {before}")
        self._put(**changes)

    def _note(self, line: Directive) -> None:
        _log.warning(f"{line.name} is accepted, and {_WITHOUT_EFFECT[line.name]}", where=line.where)

    def _set_root(self, line: Directive) -> None:
        self._root = line.one()

    def _bind(self, line: Directive) -> None:
        before = () if self.server.bind == ("",) else self.server.bind
        self._put(bind=tuple(dict.fromkeys((*before, *listening.bind(line)))))

    def _bufsize(self, line: Directive) -> None:
        size = values.integer(line, line.one(), 512, 4096) if line.args else 1232
        self._once(line, bufsize=size)

    def _health(self, line: Directive) -> None:
        def lameduck(option: Directive) -> None:
            self.config = replace(self.config, lameduck=values.duration(option, option.one(), bare=True))

        values.each(line, {"lameduck": lameduck})
        self.config = replace(self.config, health=(*self.config.health, _address(line, ":8080")))

    def _ready(self, line: Directive) -> None:
        def monitor(option: Directive) -> None:
            modes = {"UNTIL-READY": False, "CONTINUOUSLY": True}
            on = values.keyword(option, option.one(), modes, "way to monitor")
            self.config = replace(self.config, ready_continuously=on)

        values.each(line, {"monitor": monitor})
        self.config = replace(self.config, ready=(*self.config.ready, _address(line, ":8181")))

    def _prometheus(self, line: Directive) -> None:
        values.each(line, {"runtime_metrics": lambda o: None})  # this runtime's are always there
        address = _address(line, "localhost:9153")
        self.config = replace(self.config, prometheus=(*self.config.prometheus, address))

    def _reload(self, line: Directive) -> None:
        """The intervals are accepted and not needed: the kernel tells of changes."""
        off = line.args[:1] == ["0"]
        for text in line.args:
            values.duration(line, text)
        self.config = replace(self.config, reload=not off)


def _address(line: Directive, default: str) -> str:
    address = line.args[0] if line.args else default
    if len(line.args) > 1 or not re.search(r":\d+$", address):
        line.fail(f'expects an address such as "{default}"')
    return address
