"""``rewrite edns0``: options of the query's OPT record."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from clusterip.dns import message
from clusterip.dns.config import values
from clusterip.dns.config.model import EdnsRule
from clusterip.dns.config.source import Directive

_ACTIONS: dict[str, Literal["set", "append", "replace", "unset"]] = {
    "SET": "set",
    "APPEND": "append",
    "REPLACE": "replace",
    "UNSET": "unset",
}
VARIABLES = ("qname", "qtype", "client_ip", "client_port", "protocol", "server_ip", "server_port")


def edns0(line: Directive, args: list[str]) -> EdnsRule:
    """``local ACTION CODE [DATA]``, ``nsid ACTION`` or ``subnet ACTION [BITS4 BITS6]``, then ``[revert]``.

    Raises:
        BadConfig: it is none of these.
    """
    revert = args[-1:] == ["revert"]
    words = args[:-1] if revert else args
    if len(words) < 2:
        line.fail('edns0 expects what and how, such as "local set 0xffee abcd"')
    kind, action, *rest = words
    how = values.keyword(line, action, _ACTIONS, "action")
    match kind:
        case "local":
            rule = _local(line, how, rest)
        case "nsid" if not rest:
            rule = EdnsRule("nsid", how, message.NSID)
        case "subnet" if how == "unset" and not rest:
            rule = EdnsRule("subnet", how, message.SUBNET)
        case "subnet" if len(rest) == 2:
            bits = (values.integer(line, rest[0], 0, 32), values.integer(line, rest[1], 0, 128))
            rule = EdnsRule("subnet", how, message.SUBNET, prefixes=bits)
        case _:
            line.fail(f'"{" ".join(words)}" where local, nsid or "subnet set 24 56" fit')
    return replace(rule, revert=revert)


def _local(line: Directive, how: Literal["set", "append", "replace", "unset"], rest: list[str]) -> EdnsRule:
    if len(rest) != (1 if how == "unset" else 2):
        line.fail("edns0 local expects ACTION CODE DATA, or unset CODE")
    try:
        code = int(rest[0], 0)
    except ValueError:
        code = -1
    if not 0 <= code <= 0xFFFF:
        line.fail(f'"{rest[0]}" is no code of an option')
    if how == "unset":
        return EdnsRule("local", how, code)
    text = rest[1]
    variable = re.fullmatch(r"\{(\S+)\}", text)
    if variable is not None:
        if variable[1] not in VARIABLES and "/" not in variable[1]:
            line.fail(f"{text} is not known; there are {', '.join(VARIABLES)} and labels of metadata")
        return EdnsRule("local", how, code, variable=variable[1])
    if text.startswith("0x"):
        try:
            return EdnsRule("local", how, code, bytes.fromhex(text[2:]))
        except ValueError:
            line.fail(f'"{text}" is not hexadecimal')
    return EdnsRule("local", how, code, text.encode())
