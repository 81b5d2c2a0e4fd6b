"""Short hashes for names, without vowels and look-alikes, so that none is a word."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

# Upstream's alphabet (apimachinery/pkg/util/rand).
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LENGTH = 10
_encoder = msgspec.json.Encoder(order="deterministic")


def short_hash(value: Any, collisions: int | None) -> str:
    """A name for what ``value`` says; ``collisions`` gives another one if that is taken by something else."""
    data = _encoder.encode(value) + str(collisions or 0).encode()
    digest = hashlib.blake2b(data, digest_size=_LENGTH).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest)
