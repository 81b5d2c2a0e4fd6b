"""UIDs are UUIDs like all others, and nobody gets one twice."""

from __future__ import annotations

import os
import uuid

from clusterip.apiserver.uids import new_uid


def test_uids_are_random_uuids() -> None:
    made = [new_uid() for _ in range(5000)]
    assert len(set(made)) == 5000
    for text in made:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)
    digits = "".join(made).replace("-", "")
    assert set(digits) == set("0123456789abcdef")
    assert {text[19] for text in made} == set("89ab")


def test_a_forked_process_makes_others() -> None:
    new_uid()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, new_uid().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 100).decode()
    os.close(read)
    os.close(write)
    assert len(theirs) == 36
    assert theirs not in {new_uid() for _ in range(300)}
