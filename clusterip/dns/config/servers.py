"""From server blocks to the model."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from clusterip.dns.config import forwarding, kubernetes, rewriting, shaping, values
from clusterip.dns.config.corefile import parse_corefile
from clusterip.dns.config.model import Config, ServerOptions
from clusterip.dns.config.source import BadConfig, Block, Directive, Where
from clusterip.dns.config.yaml import parse_yaml
from clusterip.kernel.rtnetlink import RouteSocket

_Scheme = Literal["dns", "tls"]
_PORTS: dict[str, int] = {"dns": 53, "tls": 853}


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
            known = self.config.servers
            others = [each.kubernetes for each in known if each.kubernetes is not None]
            if server.kubernetes is not None and any(each != server.kubernetes for each in others):
                where = server.plugins["kubernetes"]
                raise BadConfig(where, "kubernetes: it is configured differently in another server block")
            self.config = replace(self.config, servers=(*known, server))


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
        if not colon:
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
        zones = server.zones
        self._readers: dict[str, Callable[[Directive], None]] = {
            "kubernetes": lambda d: self._once(d, kubernetes=kubernetes.kubernetes(d, zones)),
            "forward": lambda d: self._put(forwards=(*self.server.forwards, forwarding.forward(d))),
            "cache": lambda d: self._once(d, cache=forwarding.cache(d, zones)),
            "hosts": lambda d: self._once(d, hosts=shaping.hosts(d, zones)),
            "rewrite": lambda d: self._put(rewrites=(*self.server.rewrites, rewriting.rewrite(d))),
            "template": lambda d: self._put(templates=(*self.server.templates, shaping.template(d, zones))),
            "autopath": lambda d: self._once(d, autopath=kubernetes.autopath(d, zones)),
            "acl": lambda d: self._put(acl=(*self.server.acl, *shaping.acl(d, zones))),
            "log": lambda d: self._put(logs=(*self.server.logs, shaping.log(d, zones))),
            "dns64": lambda d: self._once(d, dns64=shaping.dns64(d)),
            "ttl": lambda d: self._once(d, ttl=shaping.ttl(d)),
            "bind": self._bind,
            "tls": self._tls,
            "loop": lambda d: self._once(d, loop=d.flag()),
            "errors": self._errors,
            "loadbalance": self._loadbalance,
            "health": self._health,
            "ready": lambda d: self._address(d, "ready", ":8181"),
            "prometheus": lambda d: self._address(d, "prometheus", "localhost:9153"),
            "reload": self._reload,
        }

    def read(self, line: Directive) -> None:
        """Raises BadConfig."""
        reader = self._readers.get(line.name)
        if reader is None:
            known = ", ".join(sorted(self._readers))
            raise BadConfig(line.where, f'there is no plugin "{line.name}" here; known are {known}')
        reader(line)
        self._put(plugins={**self.server.plugins, line.name: line.where})

    def _put(self, **changes: Any) -> None:
        self.server = replace(self.server, **changes)

    def _once(self, line: Directive, **changes: Any) -> None:
        before = self.server.plugins.get(line.name)
        if before is not None:
            line.fail(f"it is there already, at {before}")
        self._put(**changes)

    def _bind(self, line: Directive) -> None:
        if line.block:
            line.block[0].fail("bind has no options here")
        found: list[str] = []
        interfaces = {name for _, name in socket.if_nameindex()}
        for text in line.some():
            if text in interfaces:
                found += _addresses_of(text)
                continue
            try:
                ipaddress.ip_address(text)
            except ValueError:
                line.fail(f'"{text}" is neither an address nor an interface of this machine')
            found.append(text)
        before = () if self.server.bind == ("",) else self.server.bind
        self._put(bind=(*before, *found))

    def _tls(self, line: Directive) -> None:
        if not 2 <= len(line.args) <= 3:
            line.fail("expects CERT KEY [CA]")
        self._once(line, tls=tuple(line.args))

    def _errors(self, line: Directive) -> None:
        values.each(line, {"stacktrace": lambda o: None, "consolidate": lambda o: None})
        self._once(line, errors=True)

    def _loadbalance(self, line: Directive) -> None:
        if line.args not in ([], ["round_robin"]):
            line.fail(f'"{" ".join(line.args)}": only round_robin is known')

    def _health(self, line: Directive) -> None:
        def lameduck(option: Directive) -> None:
            self.config = replace(self.config, lameduck=values.duration(option, option.one(), bare=True))

        values.each(line, {"lameduck": lameduck})
        self._address(line, "health", ":8080")

    def _address(self, line: Directive, name: str, default: str) -> None:
        address = line.args[0] if line.args else default
        if len(line.args) > 1 or not re.search(r":\d+$", address):
            line.fail(f'expects an address such as "{default}"')
        self.config = replace(self.config, **{name: address})  # type: ignore[arg-type]

    def _reload(self, line: Directive) -> None:
        """The intervals are accepted and not needed: the kernel tells of changes."""
        off = line.args[:1] == ["0"]
        for text in line.args:
            values.duration(line, text)
        self.config = replace(self.config, reload=not off)


def _addresses_of(interface: str) -> list[str]:
    """The addresses of an interface, but link-local ones: those need the interface with them."""
    with RouteSocket() as sockets:
        addresses = [each.address.ip for each in sockets.addresses(interface)]
    return [str(address) for address in addresses if address.version == 4 or not address.is_link_local]
