"""What is looked at in an HDF5 file before this process opens it.

The HDF5 library trusts the numbers in a file: a wrong one can make it run for ever, take all memory
or crash, and nothing within a process ends that.  So every reader of the package calls `check_hdf5`
first.  It walks the global heaps itself, then lets a process of its own read the file
(`dendrosim.hdf5_probe`), which has a limit of time and memory.
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

#: Beginning of a global heap: its name, version 1 and three zeros (HDF5 file format, III.E).
_HEAP = b"GCOL\x01\x00\x00\x00"
_HEAD = 16
_OBJECT = 16
#: No global heap is smaller.
_LEAST = 4096
_PROBE = Path(__file__).with_name("hdf5_probe.py")


def check_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that cannot be read to its end with a limit of time and memory.

    Raises
    ------
    DendrosimError
        If an object of a global heap does not lie in its heap, or the file cannot be read.
    """
    check_heaps(path)
    said = _probes.ask(path)
    if said:
        raise DendrosimError(f"{path}: not a readable HDF5 file ({said})")


def check_heaps(path: Path) -> None:
    """Refuse a file in whose global heaps the HDF5 library would walk for ever.

    It walks from object to object by the lengths that these name; a length of 0 or just below
    2**64 leads nowhere.

    Raises
    ------
    DendrosimError
        If an object of a global heap does not lie in its heap, or the file cannot be read.
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
        return  # the library refuses it itself, or these bytes are data and no heap
    at = _HEAD
    while at + _OBJECT <= size:
        number, length = struct.unpack_from("<H6xQ", content, start + at)
        # What is free is object 0, whose length counts its own head
        step = length if number == 0 else _OBJECT + -(-length // 8) * 8
        if step < _OBJECT or at + step > size:
            raise DendrosimError(
                f"{path}: a damaged HDF5 file: object {number} of the heap at byte {start} is "
                f"{length:,} bytes long, and the heap {size:,}"
            )
        at += step


class _Probes:
    """The process that reads files first: started when needed, and anew after its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._owner = 0  # a process that was forked has its parent's pipes, and starts its own

    def ask(self, path: Path) -> str:
        """Return why a file cannot be read, or an empty text."""
        with self._lock:
            for _ in range(2):  # a process that had ended before is no fault of the file
                fresh = self._process is None or self._owner != os.getpid()
                if fresh:
                    self._start()
                said = self._answer(path)
                if said is not None:
                    return said
                status = self.end()
                if fresh:
                    return f"reading it ended a process of its own, with status {status}"
        return ""

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_PROBE)], stdin=subprocess.PIPE, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise DendrosimError(
                f"HDF5 files are read in a process of its own first, which does not start "
                f"({error.strerror})"
            ) from None
        self._owner = os.getpid()

    def _answer(self, path: Path) -> str | None:
        try:
            self._process.stdin.write(json.dumps(str(path.absolute())) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            return None
        except BaseException:  # Ctrl-C: its answer would be taken for that of the next file
            self._process.kill()
            self.end()
            raise
        return json.loads(line) if line else None

    def end(self) -> int | None:
        """Close the pipes, by which the process ends, and return its status."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return None
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        return process.wait()


_probes = _Probes()
atexit.register(_probes.end)
