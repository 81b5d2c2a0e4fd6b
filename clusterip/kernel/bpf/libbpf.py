"""libbpf's functions, typed, with its messages in the errors."""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any

_LIBRARY = "libbpf.so.1"
_NONE, _INT, _SIZE, _TEXT, _POINTER = None, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p

_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "bpf_object__open_file": (_POINTER, (_TEXT, _POINTER)),
    "bpf_object__load": (_INT, (_POINTER,)),
    "bpf_object__close": (_NONE, (_POINTER,)),
    "bpf_object__find_map_by_name": (_POINTER, (_POINTER, _TEXT)),
    "bpf_object__find_program_by_name": (_POINTER, (_POINTER, _TEXT)),
    "bpf_map__fd": (_INT, (_POINTER,)),
    "bpf_map__key_size": (ctypes.c_uint32, (_POINTER,)),
    "bpf_map__value_size": (ctypes.c_uint32, (_POINTER,)),
    "bpf_program__attach_cgroup": (_POINTER, (_POINTER, _INT)),
    "bpf_link__open": (_POINTER, (_TEXT,)),
    "bpf_link__pin": (_INT, (_POINTER, _TEXT)),
    "bpf_link__update_program": (_INT, (_POINTER, _POINTER)),
    "bpf_link__destroy": (_INT, (_POINTER,)),
    "bpf_map_update_batch": (_INT, (_INT, _POINTER, _POINTER, _POINTER, _POINTER)),
    "bpf_map_delete_batch": (_INT, (_INT, _POINTER, _POINTER, _POINTER)),
    "bpf_map_lookup_batch": (_INT, (_INT, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER, _POINTER)),
    "bpf_map_delete_elem": (_INT, (_INT, _POINTER)),
}
_Printer = ctypes.CFUNCTYPE(_INT, _INT, _TEXT, _POINTER)
_DEBUG = 2

_said: deque[str] = deque(maxlen=20)


class BpfError(Exception):
    """The kernel or libbpf refused something. ``errno`` is why, 0 if there is no such number."""

    def __init__(self, action: str, errno: int = 0) -> None:
        reasons = [os.strerror(errno)] if errno else []
        super().__init__(": ".join([action, *reasons, *_said]))
        self.errno = errno
        _said.clear()


class Library:
    """libbpf. Its functions are called by ``call`` and ``pointer``, which raise."""

    def __init__(self) -> None:
        """Raises BpfError if there is none."""
        try:
            self._library = ctypes.CDLL(_LIBRARY, use_errno=True)
        except OSError as error:
            raise BpfError(f"{_LIBRARY} is missing; on Debian: apt install libbpf1") from error
        self._functions: dict[str, Callable[..., Any]] = {}
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
            self._functions[name] = function
        self._printer = _Printer(_keep)  # libbpf has no reference of its own
        self._library.libbpf_set_print(self._printer)

    def call(self, name: str, *arguments: Any, action: str) -> int:
        """The result of a function whose errors are negative. Raises BpfError."""
        result: int = self._functions[name](*arguments)
        if result < 0:
            raise BpfError(action, ctypes.get_errno() or -result)
        return result

    def pointer(self, name: str, *arguments: Any, action: str) -> int:
        """The result of a function that returns NULL on errors. Raises BpfError."""
        result: int | None = self._functions[name](*arguments)
        if not result:
            raise BpfError(action, ctypes.get_errno())
        return result

    def run(self, name: str, *arguments: Any) -> None:
        """A function that cannot fail, or whose failure changes nothing."""
        self._functions[name](*arguments)


@cache
def library() -> Library:
    """The process's one libbpf. Raises BpfError if the machine has none."""
    return Library()


@cache
def _format() -> Any:
    function = ctypes.CDLL(None).vsnprintf
    function.argtypes = (_POINTER, _SIZE, _TEXT, _POINTER)
    return function


def _keep(level: int, template: bytes, arguments: int) -> int:
    if level < _DEBUG:
        buffer = ctypes.create_string_buffer(1024)
        _format()(buffer, len(buffer), template, arguments)
        _said.append(buffer.value.decode(errors="replace").strip())
    return 0
