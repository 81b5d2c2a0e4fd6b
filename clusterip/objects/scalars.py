"""Scalars that JSON cannot tell apart but Kubernetes can: widths of integers, times, bytes, named strings.

They are plain ``int`` and ``str`` to code that uses them. What they add is for the edges: integers are
refused when they do not fit, decoding errors name the type as upstream does, OpenAPI tells its format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec


@dataclass(frozen=True)
class Scalar:
    """What Kubernetes knows of a scalar.

    ``go`` is its type's name in decoding errors, ``format`` is OpenAPI's, ``values`` is the closed set of an
    enumeration (empty: anything goes), ``digits`` are those of a time's fraction of a second.
    """

    go: str
    format: str = ""
    values: tuple[str, ...] = ()
    digits: int = 0


INT32 = Scalar("int32", "int32")
INT64 = Scalar("int64", "int64")
TIME = Scalar("string", "date-time")
MICRO_TIME = Scalar("string", "date-time", digits=6)
BASE64 = Scalar("[]uint8", "byte")

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1), INT32]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1), INT64]

Time = Annotated[str, TIME]
"""RFC 3339, UTC, whole seconds."""

MicroTime = Annotated[str, MICRO_TIME]
"""RFC 3339, UTC, with six digits of a second."""

Base64 = Annotated[str, BASE64]
"""Bytes, in standard base 64 with padding."""

UID = Annotated[str, Scalar("types.UID")]
ConditionStatus = Annotated[str, Scalar("v1.ConditionStatus")]
