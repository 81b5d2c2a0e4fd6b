"""What a container left to say: its termination message."""

from __future__ import annotations

from pathlib import Path

_MAXIMUM = 4096
_MAXIMUM_FROM_LOG = 2048
_MAXIMUM_LINES = 80


def termination_message(message_file: Path, log: Path, *, fall_back: bool) -> str:
    """The content of the container's message file, or with ``fall_back`` the end of its log."""
    text = _tail(message_file, _MAXIMUM)
    if text or not fall_back:
        return text
    lines = _tail(log, 16 * _MAXIMUM_FROM_LOG).splitlines(keepends=True)[-_MAXIMUM_LINES:]
    return "".join(map(_content, lines))[-_MAXIMUM_FROM_LOG:]


def _content(line: str) -> str:
    """What a container wrote of a line of its log; parts of a line make one again."""
    _time, _stream, tag, text = [*line.split(" ", 3), "", "", ""][:4]
    return text.removesuffix("\n") if tag == "P" else text


def _tail(path: Path, size: int) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - size))
            return file.read(size).decode(errors="replace")
    except FileNotFoundError:
        return ""
