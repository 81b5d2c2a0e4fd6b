"""Maps of eBPF: many elements at once."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator, Sequence

from clusterip.kernel.bpf.libbpf import BpfError, library

_BATCH = 4096


class Map:
    """A hash map of fixed keys and values, given and taken as bytes."""

    def __init__(self, name: str, descriptor: int, key_size: int, value_size: int) -> None:
        self.name = name
        self.key_size, self.value_size = key_size, value_size
        self._descriptor = descriptor

    def put(self, elements: Sequence[tuple[bytes, bytes]]) -> None:
        """Add or replace elements. Raises BpfError: no room (``E2BIG``); some may have been put."""
        for start in range(0, len(elements), _BATCH):
            part = elements[start : start + _BATCH]
            keys = b"".join(key for key, _ in part)
            values = b"".join(value for _, value in part)
            library().call(
                "bpf_map_update_batch",
                self._descriptor,
                keys,
                values,
                ctypes.byref(ctypes.c_uint32(len(part))),
                None,
                action=f"cannot write {len(part)} elements of the map {self.name}",
            )

    def delete(self, keys: Sequence[bytes]) -> None:
        """Delete elements; those that are not there do not matter. Raises BpfError."""
        for start in range(0, len(keys), _BATCH):
            part = keys[start : start + _BATCH]
            action = f"cannot delete {len(part)} elements of the map {self.name}"
            count = ctypes.byref(ctypes.c_uint32(len(part)))
            try:
                library().call(
                    "bpf_map_delete_batch", self._descriptor, b"".join(part), count, None, action=action
                )
            except BpfError as error:
                if error.errno != errno.ENOENT:
                    raise
                for key in part:
                    self._delete_one(key)

    def elements(self) -> Iterator[tuple[bytes, bytes]]:
        """All elements, in no order. Raises BpfError."""
        size = _BATCH
        position, started = ctypes.create_string_buffer(max(self.key_size, 8)), False
        while True:
            keys = ctypes.create_string_buffer(size * self.key_size)
            values = ctypes.create_string_buffer(size * self.value_size)
            count, following = ctypes.c_uint32(size), ctypes.create_string_buffer(max(self.key_size, 8))
            try:
                library().call(
                    "bpf_map_lookup_batch",
                    self._descriptor,
                    position if started else None,
                    following,
                    keys,
                    values,
                    ctypes.byref(count),
                    None,
                    action=f"cannot read the map {self.name}",
                )
                last = False
            except BpfError as error:
                if error.errno == errno.ENOSPC:
                    size *= 4  # a bucket of the hash has more than fit
                    continue
                if error.errno != errno.ENOENT:
                    raise
                last = True
            raw_keys, raw_values = keys.raw, values.raw
            for index in range(count.value):
                key = raw_keys[index * self.key_size : (index + 1) * self.key_size]
                yield key, raw_values[index * self.value_size : (index + 1) * self.value_size]
            if last:
                return
            position, started = following, True

    def _delete_one(self, key: bytes) -> None:
        try:
            library().call(
                "bpf_map_delete_elem",
                self._descriptor,
                key,
                action=f"cannot delete an element of the map {self.name}",
            )
        except BpfError as error:
            if error.errno != errno.ENOENT:
                raise
