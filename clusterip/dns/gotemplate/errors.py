"""What can be wrong with a template, or happen when it runs."""

from __future__ import annotations


class BadTemplate(ValueError):
    """A template that cannot be read, or that fails for some values."""
