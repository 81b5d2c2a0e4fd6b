"""Terminals: their size."""

from __future__ import annotations

import fcntl
import struct
import termios


def set_terminal_size(descriptor: int, width: int, height: int) -> None:
    """Set the size, in characters, of the terminal at either of its ends. Raises OSError if it is none."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
