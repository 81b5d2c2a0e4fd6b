"""What a test asks of a cluster."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal, get_args

Level = Literal["api", "controllers", "nodes"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Shape:
    """How much of a cluster, and with which settings. Equal shapes can share a cluster.

    ``level``: ``api`` is the API server alone; ``controllers`` has those and the scheduler too; ``nodes`` is
    whole, with nodes that run Pods, their proxies and DNS servers. ``nodes`` and ``proxy_mode`` are for that.
    ``apiserver`` are further arguments of the API server, for the other levels.
    """

    level: Level = "controllers"
    nodes: int = 1
    proxy_mode: str = "nftables"
    apiserver: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError, saying what is allowed, if there can be no such cluster."""
        if self.level not in LEVELS:
            raise ValueError(f"there is no level {self.level!r} of a cluster, only {', '.join(LEVELS)}")
        if self.level == "nodes" and self.apiserver:
            raise ValueError("arguments for the API server are for the levels api and controllers")

    def encode(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def decode(cls, text: str) -> Shape:
        fields = json.loads(text)
        return cls(**{**fields, "apiserver": tuple(fields["apiserver"])})
