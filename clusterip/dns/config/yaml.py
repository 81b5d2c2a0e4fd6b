"""The same configuration as YAML.

A plugin is a key, its options are the keys below it; arguments that have no name in a Corefile have one
here (``zones``, ``from``, ``to``, ``ttl``, ...). With several server blocks they are a list under
``servers``; with one, its keys may be at the top::

    kubernetes: {zones: [cluster.local, in-addr.arpa, ip6.arpa], pods: verified, fallthrough: [in-addr.arpa]}
    forward: {to: [10.0.0.1, 10.0.0.2], policy: sequential}
    cache: {ttl: 30}
"""

from __future__ import annotations

import yaml

from clusterip.dns.config.source import BadConfig, Block, Directive, Where

_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "kubernetes": ("zones",),
    "forward": ("from", "to"),
    "cache": ("ttl", "zones"),
    "hosts": ("file", "zones"),
    "template": ("class", "type", "zones"),
    "autopath": ("zones", "from"),
    "acl": ("zones",),
    "log": ("names", "format"),
    "transfer": ("zones",),
    "metadata": ("zones",),
    "bind": ("addresses",),
    "tls": ("files",),
    "loadbalance": ("policy",),
    "health": ("address",),
    "ready": ("address",),
    "prometheus": ("address",),
    "reload": ("interval", "jitter"),
}
"""Which keys of a plugin are its arguments, in their order."""
_DEFAULTS = {("forward", "from"): ["."], ("autopath", "from"): ["@kubernetes"]}
_INLINE = "inline"
"""Lines as they are, such as those of ``hosts``."""
_TAG = "tag:yaml.org,2002:"


def parse_yaml(text: str, file: str) -> list[Block]:
    """The server blocks of a YAML file. Raises BadConfig."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadConfig(Where(file, line), error.problem or "not YAML") from None
    except yaml.YAMLError as error:
        raise BadConfig(Where(file, 1), str(error)) from None
    if root is None:
        raise BadConfig(Where(file, 1), "empty")
    return _Reader(file).blocks(root)


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file

    def _where(self, node: yaml.Node) -> Where:
        return Where(self._file, node.start_mark.line + 1)

    def _items(self, node: yaml.Node) -> list[tuple[str, yaml.Node, yaml.Node]]:
        """Key, key's node and value of a mapping."""
        if not isinstance(node, yaml.MappingNode):
            raise BadConfig(self._where(node), "keys with values expected")
        found: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise BadConfig(self._where(key), "a key must be a word")
            if key.value in found:
                raise BadConfig(self._where(key), f"{key.value} is there twice")
            found[key.value] = (key.value, key, value)
        return list(found.values())

    def blocks(self, root: yaml.Node) -> list[Block]:
        items = self._items(root)
        for key, _, value in items:
            if key == "servers":
                if len(items) > 1:
                    raise BadConfig(self._where(root), "plugins beside servers: put them into one of these")
                if not isinstance(value, yaml.SequenceNode):
                    raise BadConfig(self._where(value), "servers is a list")
                return [self._block(each) for each in value.value]
        return [self._block(root)]

    def _block(self, node: yaml.Node) -> Block:
        zones, port = ["."], ""
        directives: list[Directive] = []
        for key, where, value in self._items(node):
            if key == "zones":
                zones = self._texts(value)
            elif key == "port":
                port = ":" + "".join(self._texts(value))
            else:
                directives += self._plugin(key, where, value)
        return Block([zone + port for zone in zones], directives, self._where(node))

    def _plugin(self, name: str, key: yaml.Node, value: yaml.Node) -> list[Directive]:
        if isinstance(value, yaml.SequenceNode) and any(
            not isinstance(each, yaml.ScalarNode) or " " in each.value for each in value.value
        ):
            return [one for each in value.value for one in self._plugin(name, each, each)]
        if not isinstance(value, yaml.MappingNode):
            return self._option(name, key, value)
        positions = _ARGUMENTS.get(name, ())
        given: dict[str, list[str]] = {}
        line = Directive(name, [], self._where(key))
        for option, where, setting in self._items(value):
            if option in positions and not (name == "hosts" and option == "ttl"):
                given[option] = self._texts(setting)
            elif option == _INLINE:
                line.block += [self._line(each) for each in self._scalars(setting)]
            else:
                line.block += self._option(option, where, setting)
        for position in positions:
            line.args += given.get(position, _DEFAULTS.get((name, position), []))
        return [line]

    def _option(self, name: str, key: yaml.Node, value: yaml.Node) -> list[Directive]:
        """``name: true``, ``name: words`` or ``name: [words]``; ``false`` is as if it were not there.

        A list of lists is an option that is there several times.
        """
        if isinstance(value, yaml.ScalarNode) and value.tag == _TAG + "bool":
            on = yaml.SafeLoader.bool_values[value.value.lower()]
            return [Directive(name, [], self._where(key))] if on else []
        if isinstance(value, yaml.SequenceNode) and any(
            isinstance(each, yaml.SequenceNode) for each in value.value
        ):
            return [line for each in value.value for line in self._option(name, key, each)]
        if isinstance(value, yaml.SequenceNode) and name in ("answer", "additional", "authority"):
            return [Directive(name, [text], self._where(key)) for text in self._texts(value)]
        args = self._texts(value)
        if isinstance(value, yaml.ScalarNode) and value.style is None:
            args = [word for text in args for word in text.split()]
        return [Directive(name, args, self._where(key))]

    def _line(self, node: yaml.ScalarNode) -> Directive:
        words = node.value.split()
        if not words:
            raise BadConfig(self._where(node), "an empty line")
        return Directive(words[0], words[1:], self._where(node))

    def _scalars(self, node: yaml.Node) -> list[yaml.ScalarNode]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for each in nodes:
            if not isinstance(each, yaml.ScalarNode):
                raise BadConfig(self._where(each), "a word or a list of words expected")
        return [each for each in nodes if isinstance(each, yaml.ScalarNode)]

    def _texts(self, node: yaml.Node) -> list[str]:
        return [each.value for each in self._scalars(node) if each.tag != _TAG + "null"]
