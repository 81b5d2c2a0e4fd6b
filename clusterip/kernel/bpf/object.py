"""Compiled eBPF: programs with their maps, loaded, pinned and attached to a cgroup."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from clusterip.kernel.bpf.libbpf import BpfError, library
from clusterip.kernel.bpf.map import Map


class _OpenOptions(ctypes.Structure):
    """The part of ``struct bpf_object_open_opts`` that every libbpf 1 has."""

    _fields_ = (
        ("size", ctypes.c_size_t),
        ("object_name", ctypes.c_char_p),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", ctypes.c_char_p),
    )


class Object:
    """The programs and maps of a file, in the kernel for as long as this object lives or pins hold them."""

    def __init__(self, file: Path, pins: Path) -> None:
        """Load the file. Maps that are pinned in the directory ``pins`` are used on, new ones pinned there.

        Raises:
            BpfError: the kernel does not take it, or the pinned maps are of another layout.
        """
        self._pins = pins
        pins.mkdir(parents=True, exist_ok=True)
        options = _OpenOptions(
            size=ctypes.sizeof(_OpenOptions), object_name=None, pin_root_path=os.fsencode(pins)
        )
        self._object = library().pointer(
            "bpf_object__open_file",
            os.fsencode(file),
            ctypes.byref(options),
            action=f"cannot read the eBPF programs in {file}",
        )
        try:
            library().call(
                "bpf_object__load", self._object, action="the kernel does not load the eBPF programs"
            )
        except BpfError:
            self.close()
            raise

    def map(self, name: str) -> Map:
        found = library().pointer(
            "bpf_object__find_map_by_name", self._object, name.encode(), action=f"no map {name}"
        )
        action = f"no map {name}"
        return Map(
            name,
            library().call("bpf_map__fd", found, action=action),
            library().call("bpf_map__key_size", found, action=action),
            library().call("bpf_map__value_size", found, action=action),
        )

    def attach(self, programs: Iterable[str], cgroup: Path) -> None:
        """Attach programs to a cgroup of version 2, beside what others have attached.

        Each link is pinned as ``link_<program>``. One that is there is given the new program, at one
        instant. Raises BpfError.
        """
        try:
            directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise BpfError(f"cannot attach to the cgroup {cgroup}", error.errno or 0) from error
        try:
            for name in programs:
                self._attach(name, directory, cgroup)
        finally:
            os.close(directory)

    def close(self) -> None:
        """Let go of it; what is pinned stays in the kernel."""
        if self._object:
            library().run("bpf_object__close", self._object)
            self._object = 0

    def _attach(self, name: str, directory: int, cgroup: Path) -> None:
        program = library().pointer(
            "bpf_object__find_program_by_name", self._object, name.encode(), action=f"no program {name}"
        )
        pin = os.fsencode(self._pins / f"link_{name}")
        action = f"cannot attach the program {name} to the cgroup {cgroup}"
        if os.path.exists(pin):
            link = library().pointer("bpf_link__open", pin, action=action)
            try:
                library().call("bpf_link__update_program", link, program, action=action)
                return
            except BpfError:
                # The cgroup it was attached to is gone, and the link with it.
                os.unlink(pin)
            finally:
                library().run("bpf_link__destroy", link)
        link = library().pointer("bpf_program__attach_cgroup", program, directory, action=action)
        try:
            library().call("bpf_link__pin", link, pin, action=f"cannot pin the program {name}")
        finally:
            library().run("bpf_link__destroy", link)
