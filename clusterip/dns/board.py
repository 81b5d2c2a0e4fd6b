"""What the workers of one server tell each other, in memory that all of them see."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_SLOT = 1 << 20
"""Bytes for one worker: far more than its figures take, and only touched pages are real."""
_head = struct.Struct("=QIB")
"""A number that is odd while the rest is being written, the length of the figures, whether all is known."""
_ATTEMPTS = 100
_SUMMED_GAUGES = ("coredns_cache_entries", "clusterip_dns_kept_answers")
"""Each worker has its own of these; of other things all have the same."""


class _Sample(msgspec.Struct, array_like=True):
    name: str
    labels: dict[str, str]
    value: float


class _Family(msgspec.Struct, array_like=True):
    name: str
    documentation: str
    type: str
    samples: list[_Sample]


class Board:
    """A slot for each worker."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._memory = mmap.mmap(-1, count * _SLOT)

    def publish(self, index: int, families: Iterable[Metric], *, synced: bool) -> None:
        """Let the others see a worker's figures."""
        body = msgspec.msgpack.encode(
            [
                _Family(
                    each.name,
                    each.documentation,
                    each.type,
                    [_Sample(sample.name, dict(sample.labels), sample.value) for sample in each.samples],
                )
                for each in families
            ]
        )
        if len(body) > _SLOT - _head.size:
            body = b"\x90"  # an empty list
        start = index * _SLOT
        (number, _, _) = _head.unpack_from(self._memory, start)
        number |= 1
        _head.pack_into(self._memory, start, number, 0, synced)
        self._memory[start + _head.size : start + _head.size + len(body)] = body
        _head.pack_into(self._memory, start, number + 1, len(body), synced)

    def forget(self, index: int) -> None:
        """A worker starts anew: it knows nothing."""
        (number, _, _) = _head.unpack_from(self._memory, index * _SLOT)
        _head.pack_into(self._memory, index * _SLOT, (number | 1) + 1, 0, False)

    def synced(self, own: int) -> bool:
        """Whether all workers but ``own`` know everything."""
        heads = (
            _head.unpack_from(self._memory, index * _SLOT) for index in range(self.count) if index != own
        )
        return all(head[2] for head in heads)

    def figures(self, own: int) -> Iterator[list[_Family]]:
        """What the workers but ``own`` have told last."""
        for index in range(self.count):
            if index != own:
                yield self._read(index * _SLOT)

    def _read(self, start: int) -> list[_Family]:
        for _ in range(_ATTEMPTS):
            number, length, _ = _head.unpack_from(self._memory, start)
            body = bytes(self._memory[start + _head.size : start + _head.size + length])
            if not number & 1 and _head.unpack_from(self._memory, start)[0] == number:
                return msgspec.msgpack.decode(body, type=list[_Family]) if body else []
        return []  # a worker died while it wrote; the next one will write again


class SummedCollector(Collector):
    """The figures of a worker with those of all others added, as of about a second ago."""

    def __init__(self, own: Collector, board: Board, index: int) -> None:
        self._own = own
        self._board = board
        self._index = index

    def collect(self) -> Iterator[Metric]:
        families = {family.name: family for family in self._own.collect()}
        values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for name, family in families.items():
            values[name] = {
                (each.name, tuple(sorted(each.labels.items()))): each.value for each in family.samples
            }
        for told in self._board.figures(self._index):
            for other in told:
                if other.name not in families:
                    families[other.name] = Metric(other.name, other.documentation, other.type)
                table = values.setdefault(other.name, {})
                for sample in other.samples:
                    key = sample.name, tuple(sorted(sample.labels.items()))
                    before = table.get(key, 0.0)
                    same = other.type == "gauge" and other.name not in _SUMMED_GAUGES
                    table[key] = max(before, sample.value) if same else before + sample.value
        for name, family in families.items():
            summed = Metric(family.name, family.documentation, family.type)
            for (sample_name, labels), value in values[name].items():
                summed.add_sample(sample_name, dict(labels), value)
            yield summed
