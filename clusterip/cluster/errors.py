"""What can go wrong with a cluster as a whole, said to the person who runs it."""

from __future__ import annotations


class ClusterError(Exception):
    """Its text says what happened, to what, and what to do about it."""
