"""A Pod's own sysctls: those of its network and of its IPC namespace, which no other Pod shares."""

from __future__ import annotations

import errno

from clusterip.objects.core.pod import Pod

_OF_IPC = ("kernel/shm", "kernel/msg", "kernel/sem", "fs/mqueue/")


def is_of_ipc(name: str) -> bool:
    """Whether a sysctl (its path below ``/proc/sys``) is the IPC namespace's."""
    return name.startswith(_OF_IPC)


def sysctls_of(pod: Pod) -> dict[str, str]:
    """The values by path below ``/proc/sys``. Names are written with dots or with slashes.

    Raises:
        PermissionError: one is the whole machine's, or the node's because the Pod is in its network or IPC
            namespace.
    """
    context = pod.spec.securityContext
    found = {}
    for each in context.sysctls if context else ():
        name = each.name if "/" in each.name else each.name.replace(".", "/")
        of_network = name.startswith("net/") and not pod.spec.hostNetwork
        if ".." in name or not (of_network or (is_of_ipc(name) and not pod.spec.hostIPC)):
            text = "only sysctls of the Pod's own network and IPC namespace can be set"
            raise PermissionError(errno.EPERM, text, each.name)
        found[name] = each.value
    return found
