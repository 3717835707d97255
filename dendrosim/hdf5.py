"""Checks of an HDF5 file before this process opens it.

The HDF5 library trusts the numbers in a file.  A wrong number can cause an endless loop, fill the
memory or crash the process, and nothing inside the process can stop that.  Therefore every reader
of the package calls `check_hdf5` first.  It checks the global heaps itself and then reads the file
in a separate process (`dendrosim.hdf5_probe`) with limits of time and memory.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import mmap
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

from dendrosim.errors import DendrosimError

#: Start of a global heap: signature, version 1 and three zeros (HDF5 file format, III.E).
_HEAP = b"GCOL\x01\x00\x00\x00"
_HEAD = 16
_OBJECT = 16
#: Minimum size of a global heap.
_LEAST = 4096
_PROBE = Path(__file__).with_name("hdf5_probe.py")


def check_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that cannot be read completely within limits of time and memory.

    Raises
    ------
    DendrosimError
        If an object of a global heap is not inside its heap, or the file is not readable.
    """
    check_heaps(path)
    said = _probes.ask(path)
    if said:
        raise DendrosimError(f"{path}: not a readable HDF5 file ({said})")


def check_heaps(path: Path) -> None:
    """Refuse a file whose global heaps would cause an endless loop in the HDF5 library.

    The library steps from object to object by the length of each; a length of 0 or just below
    2**64 makes no progress.

    Raises
    ------
    DendrosimError
        If an object of a global heap is not inside its heap, or the file is not readable.
    """
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                raise DendrosimError(f"{path}: an empty file, not HDF5")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                start = content.find(_HEAP)
                while start >= 0:
                    _check_heap(content, start, path)
                    start = content.find(_HEAP, start + 1)
    except DendrosimError:
        raise
    except (OSError, ValueError) as error:
        raise DendrosimError(f"{path}: cannot be read ({error})") from None


def _check_heap(content: mmap.mmap, start: int, path: Path) -> None:
    if len(content) < start + _HEAD:
        return
    (size,) = struct.unpack_from("<Q", content, start + 8)
    if size < _LEAST or start + size > len(content):
        return  # the library refuses this itself, or these bytes are data and not a heap
    at = _HEAD
    while at + _OBJECT <= size:
        number, length = struct.unpack_from("<H6xQ", content, start + at)
        # free space is object 0, whose length includes its header
        step = length if number == 0 else _OBJECT + -(-length // 8) * 8
        if step < _OBJECT or at + step > size:
            raise DendrosimError(
                f"{path}: a damaged HDF5 file: object {number} of the heap at byte {start} is "
                f"{length:,} bytes long, and the heap {size:,}"
            )
        at += step


class _Probes:
    """The process that reads files first: started when needed, and restarted after it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0  # a forked process inherits its parent's pipes and must start its own

    def ask(self, path: Path) -> str:
        """Return the reason why a file cannot be read, or an empty text."""
        with self._lock:
            for _ in range(2):  # again if the process had already ended before
                process, fresh = self._process, False
                if process is None or self._owner != os.getpid():
                    process, fresh = self._start(), True
                said = self._answer(process, path)
                if said is not None:
                    return said
                status = self.end()
                if fresh:
                    return f"reading it ended a process of its own, with status {status}"
        return ""

    def _start(self) -> subprocess.Popen[str]:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", str(_PROBE)], stdin=subprocess.PIPE, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise DendrosimError(
                f"HDF5 files are first read in a separate process, which does not start "
                f"({error.strerror})"
            ) from None
        self._process, self._owner = process, os.getpid()
        return process

    def _answer(self, process: subprocess.Popen[str], path: Path) -> str | None:
        assert process.stdin is not None and process.stdout is not None  # both are pipes
        try:
            process.stdin.write(json.dumps(str(path.absolute())) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            return None
        except BaseException:  # Ctrl-C: the next file would get this late answer
            process.kill()
            self.end()
            raise
        return json.loads(line) if line else None

    def end(self) -> int | None:
        """Close the pipes, which ends the process, and return its status."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return None
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        return process.wait()


_probes = _Probes()
atexit.register(_probes.end)
