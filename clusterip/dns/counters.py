"""What the servers count."""

from __future__ import annotations


class Counters:
    """How many queries came by each way, and how many answers had each response code."""

    def __init__(self) -> None:
        self.udp = 0
        self.tcp = 0
        self.unsent = 0
        """Answers that the network did not take."""
        self.rcodes = [0] * 16
