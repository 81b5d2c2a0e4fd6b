"""Kernel settings of this network namespace, set only where they differ."""

from __future__ import annotations

from pathlib import Path

from clusterip.kernel.namespaces import read_sysctl, write_sysctl

CONNTRACK_HASH_SIZE = Path("/sys/module/nf_conntrack/parameters/hashsize")
"""How many buckets connection tracking has. Of the whole machine; only its first namespace may write it."""


def ensure(name: str, value: int) -> bool:
    """Set a sysctl unless it has the value already; whether it had not.

    Raises:
        FileNotFoundError: the kernel has none of that name, perhaps for want of a module.
        OSError: it may not be written here: a read-only ``/proc/sys``, or another namespace's setting.
    """
    if read_sysctl(name) == str(value):
        return False
    write_sysctl(name, value)
    return True


def ensure_conntrack_buckets(count: int) -> bool:
    """Give connection tracking at least so many hash buckets; whether it had fewer. Raises as ``ensure``."""
    if int(CONNTRACK_HASH_SIZE.read_text()) >= count:
        return False
    CONNTRACK_HASH_SIZE.write_text(str(count))
    return True
