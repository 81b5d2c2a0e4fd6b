"""Rules as ``iptables-save`` prints them, which ``iptables-restore`` takes as well.

Because what we write and what we read back are the same text, finding out whether a chain is right is
comparing strings.
"""

from __future__ import annotations

_UNITY = 0x80000000
"""The kernel holds a probability as a fraction of this."""


def rule(
    *,
    source: str = "",
    destination: str = "",
    interface: str = "",
    protocol: str = "",
    matches: str = "",
    target: str = "",
) -> str:
    """A rule without its chain. ``source`` and ``interface`` with ``-s``, ``-i`` and perhaps ``!``."""
    parts = [source] if source else []
    if destination:
        parts.append(f"-d {destination}")
    if interface:
        parts.append(interface)
    if protocol:
        parts.append(f"-p {protocol}")
    if matches:
        parts.append(matches)
    if target:
        parts.append(f"-j {target}")
    return " ".join(parts)


def comment(text: str) -> str:
    """``text`` holds something else than letters, digits, ``-`` and ``_``, so that it is quoted."""
    return f'-m comment --comment "{text}"'


def probability(count: int) -> str:
    """The match that takes one packet in ``count``, with the digits that are left of it in the kernel."""
    # Upstream writes ten digits, of which the kernel keeps what fits in 31 bits.
    kept = round(_UNITY * float(f"{1 / count:.10f}"))
    return f"-m statistic --mode random --probability {kept / _UNITY:.11f}"
