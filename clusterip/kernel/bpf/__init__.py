"""eBPF programs and their maps, by way of libbpf, which every machine with `ip` has.

An :class:`~clusterip.kernel.bpf.object.Object` is a compiled file loaded into the kernel, with its maps
and links pinned in a directory of the BPF file system, where the next process finds them;
:mod:`~clusterip.kernel.bpf.filesystem` finds or mounts what is needed for that.
"""

from clusterip.kernel.bpf.libbpf import BpfError
from clusterip.kernel.bpf.map import Map
from clusterip.kernel.bpf.object import Object

__all__ = ["BpfError", "Map", "Object"]
