"""The data planes by name: the one place that knows which there are."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from clusterip.proxy.backend import Mode

NAMES = ("nftables", "iptables", "ipvs", "ebpf")
"""What ``--proxy-mode`` takes. Each is a package here with a ``mode.MODE``; the first is the default."""


def get(name: str) -> Mode:
    """The data plane of that name; its code is imported only now.

    Raises:
        ValueError: there is none; says which there are.
    """
    if name not in NAMES:
        raise ValueError(f"there is no proxy mode {name!r}; use one of {', '.join(NAMES)}")
    mode: Mode = import_module(f"clusterip.proxy.{name}.mode").MODE
    return mode


def others(name: str) -> list[Mode]:
    """All data planes but that one and what it rests on: what they left behind is in its way."""
    own = (name, get(name).rests_on)
    return [get(other) for other in NAMES if other not in own]


def left_by_us(name: str) -> list[str]:
    """Those of the others whose rules this program made, if there are any.

    Chains of a kube-proxy, which may still run, have the same names as those of the mode ``iptables``.
    """
    return [mode.name for mode in others(name) if mode.is_ours()]


def whole(names: Iterable[str]) -> list[str]:
    """Data planes with those they rest on."""
    return list(dict.fromkeys(each for name in names for each in (name, get(name).rests_on) if each))


def clean_up(name: str) -> list[str]:
    """Remove every trace of a data plane and of the one it rests on. As :attr:`Mode.clean_up`."""
    return [removed for each in whole([name]) for removed in get(each).clean_up()]
