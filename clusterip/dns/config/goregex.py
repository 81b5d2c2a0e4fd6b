"""Go's regular expressions (RE2's syntax) as Python's.

Most of the notation is shared. What is written otherwise is translated: POSIX classes, ``\\z``, ``\\Q..\\E``,
``\\x{10FFFF}``, and flags that hold from the middle of a group on. ``\\pN`` classes and ``\\C`` have no
counterpart.
"""

from __future__ import annotations

import re

MAX_LENGTH = 10_000
"""As long as CoreDNS allows them to be."""

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?\)")


def compile_go(text: str) -> re.Pattern[str]:
    """Compile a pattern in Go's notation.

    Raises:
        ValueError: it is none, or has no counterpart in Python.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"longer than {MAX_LENGTH} characters")
    try:
        return re.compile(_Translator(text).translate(), re.ASCII)
    except re.error as error:
        raise ValueError(str(error)) from None


class _Translator:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._opened = [0]
        """Groups opened for flags within each group that is open: they close with it."""

    def translate(self) -> str:
        while self._at < len(self._text):
            self._one()
        return "".join(self._out) + ")" * self._opened[0]

    def _take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        return taken

    def _one(self) -> None:
        rest = self._text[self._at :]
        flags = _FLAGS.match(rest)
        if rest.startswith("\\"):
            self._out.append(self._escape())
        elif rest.startswith("["):
            self._class()
        elif flags is not None:
            self._at += flags.end()
            if "U" in flags.group():
                raise ValueError("the flag U has no counterpart here")
            self._out.append(f"(?{flags[1]}{'-' + flags[2] if flags[2] else ''}:")
            self._opened[-1] += 1
        elif rest.startswith("(?<") and rest[3:4] not in ("=", "!"):
            self._at += 3
            self._out.append("(?P<")
            self._opened.append(0)
        elif rest.startswith("("):
            self._out.append(self._take(1))
            self._opened.append(0)
        elif rest.startswith(")"):
            opened = self._opened.pop() if len(self._opened) > 1 else 0
            self._out.append(")" * opened + self._take(1))
        elif rest.startswith("|") and self._opened[-1]:
            raise ValueError("a flag before an alternative: write it as (?i:...)")
        else:
            self._out.append(self._take(1))

    def _escape(self) -> str:
        both = self._take(2)
        match both[1:]:
            case "z":
                return r"\Z"
            case "Q":
                end = self._text.find(r"\E", self._at)
                end = len(self._text) if end < 0 else end
                literal = self._text[self._at : end]
                self._at = end + 2
                return re.escape(literal)
            case "p" | "P" | "C":
                raise ValueError(f"{both} has no counterpart here")
            case "x" if self._text[self._at : self._at + 1] == "{":
                end = self._text.index("}", self._at)
                digits = self._text[self._at + 1 : end]
                self._at = end + 1
                return re.escape(chr(int(digits, 16)))
        return both

    def _class(self) -> None:
        out = [self._take(1)]
        if self._text[self._at : self._at + 1] == "^":
            out.append(self._take(1))
        if self._text[self._at : self._at + 1] == "]":
            self._at += 1
            out.append(r"\]")
        while self._at < len(self._text) and self._text[self._at] != "]":
            posix = re.match(r"\[:(\^?)(\w+):\]", self._text[self._at :])
            if posix is not None:
                if posix[1] or posix[2] not in _POSIX:
                    raise ValueError(f"{posix.group()} is not understood here")
                out.append(_POSIX[posix[2]])
                self._at += posix.end()
            elif self._text[self._at] == "\\":
                out.append(self._escape())
            elif self._text[self._at] == "[":
                self._at += 1
                out.append(r"\[")
            else:
                out.append(self._take(1))
        out.append(self._take(1))
        self._out += out
