"""What checks find."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["ok", "info", "warning", "error"]
"""``info``: something is not there, and nothing needs it."""

EXIT_CODES: dict[Level, int] = {"ok": 0, "info": 0, "warning": 1, "error": 2}


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``remedy``: what to do, empty if there is nothing to be done."""

    check: str
    level: Level
    subject: str
    message: str
    remedy: str = ""


class Findings:
    """Collects what one check finds."""

    def __init__(self, check: str) -> None:
        self.check = check
        self.found: list[Finding] = []

    def ok(self, subject: str, message: str) -> None:
        self.found.append(Finding(self.check, "ok", subject, message))

    def info(self, subject: str, message: str, remedy: str = "") -> None:
        self.found.append(Finding(self.check, "info", subject, message, remedy))

    def warning(self, subject: str, message: str, remedy: str) -> None:
        self.found.append(Finding(self.check, "warning", subject, message, remedy))

    def error(self, subject: str, message: str, remedy: str) -> None:
        self.found.append(Finding(self.check, "error", subject, message, remedy))


def worst(findings: list[Finding]) -> Level:
    """The level that the exit code follows."""
    return max((finding.level for finding in findings), key=EXIT_CODES.__getitem__, default="ok")
