"""What is wrong with a configuration."""

from __future__ import annotations


class ConfigurationError(Exception):
    """Settings that cannot be used; the message names each and what would be right."""
