"""Elements that several want: the first by rank has it, the next inherits it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clusterip.kernel.nftables import CLASSID, MARK, Set
from clusterip.proxy.nftables.changes import Changes
from clusterip.proxy.nftables.claims import Claims

SET = Set("services", (MARK,), (CLASSID,))


class Recorder(Changes):
    """Applies changes to a pretended kernel at once, and checks what they say of it."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel: dict[bytes, bytes] = {}

    def put(self, set_: Set, key: bytes, old: bytes | None, new: bytes | None) -> None:
        assert self.kernel.get(key) == old
        if new is None:
            self.kernel.pop(key, None)
        else:
            self.kernel[key] = new


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([b"k", b"l"]), st.sampled_from([None, b"1", b"2"])),
    max_size=40,
)


@given(steps)
def test_the_lowest_rank_counts(steps: list[tuple[str, bytes, bytes | None]]) -> None:
    recorder = Recorder()
    claims = Claims(recorder, lambda owner, _set, _key: (owner,))
    wanted: dict[bytes, dict[str, bytes]] = {b"k": {}, b"l": {}}
    for owner, key, value in steps:
        if value is not None:
            claims.put(owner, SET, key, value)
            wanted[key][owner] = value
        elif owner in wanted[key]:
            claims.drop(owner, SET, key)
            del wanted[key][owner]
        expected = {key: held[min(held)] for key, held in wanted.items() if held}
        assert recorder.kernel == expected
        assert dict(claims.elements(SET)) == expected


def test_changes_that_cancel_out_are_none() -> None:
    changes = Changes()
    changes.put(SET, b"k", None, b"1")
    changes.put(SET, b"k", b"1", b"2")
    changes.put(SET, b"k", b"2", None)
    assert not changes
    changes.put(SET, b"k", b"1", None)
    changes.put(SET, b"k", None, b"1")
    assert not changes
