"""The text of rules that packets matched, as ``nft`` and ``iptables`` print it, and the elements in them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from clusterip.kernel.namespaces import Namespace, run_in
from clusterip.kernel.nftables.tracing import Headers
from clusterip.trace.story import Rule

_SECONDS = 10.0
_SLOTS = 64
"""How many slots of a group are looked up."""
_IPTABLES_TABLES = ("raw", "mangle", "nat", "filter", "security")
_HANDLE = re.compile(r"^\s+(?P<text>.*?) # handle (?P<handle>\d+)$")
_FIELD = (
    r"(?:ip6? [sd]addr|meta l4proto|(?:th|tcp|udp) [sd]port|meta priority(?: & [0-9a-f]+:[0-9a-f]+)?"
    r"|numgen random mod \d+|meta mark)"
)
_REMEMBERED = re.compile(r"saddr map @affinity|saddr @affinity-|-m recent --rcheck")
_LOOKUP = re.compile(rf"(?P<key>{_FIELD}(?: \. {_FIELD})*) (?P<negated>!= )?(?:v?map )?@(?P<set>[\w.-]+)")
_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}


class BaseChain(NamedTuple):
    """Where a chain hooks into netfilter."""

    hook: str
    priority: int
    type: str


class RuleBook:
    """The rules of a network namespace, each chain read when it is first asked for."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._texts: dict[tuple[str, str, str], dict[int, str]] = {}
        self._specs: dict[tuple[str, str, str], list[str]] = {}
        self._elements: dict[tuple[str, str, str, str], str] = {}
        self._bases: dict[tuple[str, str, str], BaseChain] | None = None

    def base(self, family: str, table: str, chain: str) -> BaseChain | None:
        """What hook a base chain stands at; None for other chains, or if ``nft`` is not there."""
        if self._bases is None:
            self._bases = {}
            with contextlib.suppress(ValueError):
                for item in json.loads(self._run("nft", "-j", "list", "chains") or "{}").get("nftables", []):
                    if (found := item.get("chain")) and "hook" in found:
                        key = (found["family"], found["table"], found["name"])
                        self._bases[key] = BaseChain(found["hook"], found["prio"], found["type"])
        return self._bases.get((family, table, chain))

    def rule(self, family: str, table: str, chain: str, handle: int, verdict: str, headers: Headers) -> Rule:
        """A rule with its text, and the elements that a packet with these headers finds in it."""
        text, syntax = self._text(family, table, chain, handle), "nft"
        elements = tuple(self._found(family, table, text, headers)) if text else ()
        if table in _IPTABLES_TABLES and (spec := self._spec(family, table, chain, handle)):
            text, syntax = f"-t {table} {spec}", "iptables"
        base = self.base(family, table, chain)
        return Rule(
            syntax="iptables" if syntax == "iptables" else "nft",
            family=family,
            table=table,
            chain=chain,
            hook=base.hook if base else "",
            handle=handle,
            text=text,
            elements=elements,
            verdict=verdict,
        )

    def slots(self, rule: Rule, priority: str) -> dict[str, str]:
        """The slots that a rule ``numgen random mod N map @NAME`` draws from: elements by their values.

        ``priority`` is the ``meta priority`` with which the packet came to it.
        """
        found = _LOOKUP.search(rule.text)
        drawn = re.search(r"numgen random mod (\d+)", rule.text)
        if found is None or drawn is None or not priority:
            return {}
        keys = []
        for slot in range(min(int(drawn[1]), _SLOTS)):
            fields = []
            for each in found["key"].split(" . "):
                if each.startswith("numgen"):
                    fields.append(f"{slot:#010x}")
                elif each.startswith("meta priority"):
                    fields.append(_masked(priority, each))
                else:
                    return {}
            keys.append(" . ".join(fields))
        wanted = f"{{ {', '.join(keys)} }}"
        printed = self._run("nft", "get", "element", rule.family, rule.table, found["set"], wanted)
        return {
            each.rpartition(" : ")[2]: f"{found['set']} {{ {each} }}" for each in _elements(printed) if each
        }

    def is_remembered(self, rules: Sequence[Rule]) -> bool:
        """Whether session affinity decided, and not a new draw."""
        return any(_REMEMBERED.search(rule.text) for rule in rules) and not any(
            "numgen random" in rule.text or "--probability" in rule.text for rule in rules
        )

    def probability(self, rules: Sequence[Rule]) -> float | None:
        """How probable it was that these rules, all that matched in a hook, end where they do.

        None if they do not say. ``numgen random mod N`` draws evenly; a chain of ``--probability`` matches
        leaves the rest to those after it.
        """
        for rule in reversed(rules):
            if drawn := re.search(r"numgen random mod (\d+)", rule.text):
                return 1 / int(drawn[1])
            specs = self._specs.get((rule.family, rule.table, rule.chain), [])
            if not any("--probability " in spec for spec in specs):
                continue
            left = 1.0
            for spec in specs:
                match = re.search(r"--probability ([0-9.]+)", spec)
                part = float(match[1]) if match else 1.0
                if rule.text.endswith(spec):
                    return left * part
                left *= 1 - part if match else 1.0
        return None

    # What is asked of programs.

    def _text(self, family: str, table: str, chain: str, handle: int) -> str:
        key = (family, table, chain)
        if key not in self._texts:
            printed = self._run("nft", "-a", "-t", "list", "chain", family, table, chain)
            listed = (line for line in printed.splitlines() if not line.lstrip().startswith("chain "))
            lines = (_HANDLE.match(line) for line in listed)
            self._texts[key] = {int(line["handle"]): line["text"] for line in lines if line}
        return self._texts[key].get(handle, "")

    def _spec(self, family: str, table: str, chain: str, handle: int) -> str:
        """The rule as ``iptables -S`` prints it: by its place in the chain, which both list alike."""
        key = (family, table, chain)
        if key not in self._specs:
            program = {"ip": "iptables-nft", "ip6": "ip6tables-nft"}.get(family, "")
            printed = self._run(program, "-t", table, "-S", chain) if program else ""
            self._specs[key] = [line for line in printed.splitlines() if line.startswith("-A ")]
        handles, specs = list(self._texts[key]), self._specs[key]
        return specs[handles.index(handle)] if handle in handles and len(handles) == len(specs) else ""

    def _found(self, family: str, table: str, text: str, headers: Headers) -> list[str]:
        """The elements of sets and maps that the packet finds by a rule, in order."""
        elements, priority = [], ""
        for match in _LOOKUP.finditer(text):
            fields = []
            for each in match["key"].split(" . "):
                value = _masked(priority, each) if each.startswith("meta priority") else _value(each, headers)
                if value:
                    fields.append(value)
            if match["negated"] or len(fields) != len(match["key"].split(" . ")):
                continue
            if element := self._element(family, table, match["set"], " . ".join(fields)):
                elements.append(f"{match['set']} {{ {element} }}")
                priority = element.rpartition(" : ")[2] if "meta priority set" in text else priority
        return elements

    def _element(self, family: str, table: str, name: str, key: str) -> str:
        at = (family, table, name, key)
        if at not in self._elements:
            printed = self._run("nft", "get", "element", family, table, name, f"{{ {key} }}")
            found = _elements(printed)
            self._elements[at] = found[0] if found else ""
        return self._elements[at]

    def _run(self, *command: str) -> str:
        """What a program prints in the namespace; empty if it fails or is not there."""
        program = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
        if program is None:
            return ""

        def run() -> str:
            done = subprocess.run(
                [program, *command[1:]], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
            return done.stdout if done.returncode == 0 else ""

        try:
            return run_in(self._namespace, run)
        except (OSError, subprocess.TimeoutExpired):
            return ""


def priority_of(elements: Sequence[str]) -> str:
    """The ``meta priority`` that the elements found in a rule leave: a class like ``30:8``, or nothing."""
    for element in elements:
        value = element.rstrip(" }").rpartition(" : ")[2]
        if re.fullmatch(r"[0-9a-f]+:[0-9a-f]+", value):
            return value
    return ""


def _elements(printed: str) -> list[str]:
    match = re.search(r"elements = \{(.*?)\}", printed, re.DOTALL)
    if match is None:
        return []
    return [" ".join(each.split()) for each in match[1].split(",")]


def _masked(priority: str, expression: str) -> str:
    """``30:8`` by ``meta priority & f:ffff`` is ``0:8``."""
    if not priority:
        return ""
    mask = expression.partition(" & ")[2] or "ffff:ffff"
    parts = zip(priority.split(":"), mask.split(":"), strict=True)
    return ":".join(f"{int(value, 16) & int(bits, 16):x}" for value, bits in parts)


def _value(expression: str, headers: Headers) -> str:
    match expression.split()[-1]:
        case "saddr":
            return headers.source
        case "daddr":
            return headers.destination
        case "sport":
            return str(headers.source_port)
        case "dport":
            return str(headers.destination_port)
        case "l4proto":
            return _PROTOCOLS.get(headers.protocol, str(headers.protocol))
    return ""
