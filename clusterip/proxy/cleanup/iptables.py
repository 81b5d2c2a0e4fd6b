"""Chains of kube-proxy in iptables' tables, old and new.

The old kernel interface (``iptables-legacy``) can only be spoken to by iptables itself, and both kinds can be
in use at once; so both programs are asked, if they are there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

_OURS = re.compile(
    "KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|POSTROUTING|MARK-MASQ|FORWARD|PROXY-FIREWALL|PROXY-CANARY"
    "|SOURCE-RANGES-FIREWALL|NODE-PORT|LOAD-BALANCER|IPVS-FILTER|IPVS-OUT-FILTER"
    "|(SVC|SVL|SEP|FW|EXT|XLB)-.*)"
)
"""kube-proxy's chains. Those of kubelets (KUBE-FIREWALL, KUBE-KUBELET-CANARY, KUBE-IPTABLES-HINT) are not."""

_RULE = re.compile(r"-A (\S+) (?:.* )?-[jg] (\S+)")
_LOCK_SECONDS = "5"


class IptablesError(Exception):
    """An iptables program refused."""


def remove() -> Iterator[str]:
    """Remove the chains, and other chains' rules that lead to them; each table at one instant.

    Yields what was removed. Raises IptablesError.
    """
    for family in ("ip", "ip6"):
        for program in _programs(family):
            for table, chains, commands in removals(_run(f"{program}-save")):
                _run(f"{program}-restore", "--noflush", "-w", _LOCK_SECONDS, text=commands)
                yield f"{len(chains)} chains of table {table} ({program})"


def removals(saved: str) -> Iterator[tuple[str, list[str], str]]:
    """For each table with something to remove: its name, the chains, and input for iptables-restore."""
    for table, lines in _tables(saved):
        chains = [line[1:].split()[0] for line in lines if line.startswith(":")]
        going = [chain for chain in chains if _OURS.fullmatch(chain)]
        if not going:
            continue
        commands = [f"*{table}"]
        commands += [f":{chain} - [0:0]" for chain in going]  # to name a chain here empties it
        for line in lines:
            rule = _RULE.match(line)
            if rule and rule[2] in going and rule[1] not in going:
                commands.append(f"-D{line[2:]}")
        commands += [f"-X {chain}" for chain in going]
        yield table, going, "\n".join([*commands, "COMMIT", ""])


def _tables(saved: str) -> Iterator[tuple[str, list[str]]]:
    table = ""
    lines: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, lines = line[1:], []
        elif line == "COMMIT":
            yield table, lines
        else:
            lines.append(line)


def _programs(family: str) -> list[str]:
    """The iptables programs to ask, such as ``iptables-nft``."""
    both = [f"{family}tables-{kind}" for kind in ("nft", "legacy")]
    found = [program for program in both if shutil.which(f"{program}-save")]
    plain = f"{family}tables"
    return found or ([plain] if shutil.which(f"{plain}-save") else [])


def _run(*command: str, text: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise IptablesError(f"cannot run {command[0]}: {error.strerror}") from None
    if done.returncode:
        raise IptablesError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
