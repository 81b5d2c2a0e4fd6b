"""What can go wrong with a registry; apart, so that naming it needs no HTTP client."""

from __future__ import annotations


class PullError(Exception):
    """An image could not be pulled."""
