"""What is looked at in an HDF5 file before the HDF5 library opens it.

The library walks the objects of a global heap by the sizes that they name.  A size just below 2**64
overflows its sum, the walk stands still, and no limit of time within the process ends it.  So each
heap is walked here first, and a file whose heap does not add up is refused.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from dendrosim.errors import DendrosimError

#: Beginning of a global heap: its name, version 1 and three zeros (HDF5 file format, III.E).
_HEAP = b"GCOL\x01\x00\x00\x00"
_HEAD = 16
_OBJECT = 16
#: No global heap is smaller.
_LEAST = 4096


def check_hdf5(path: Path) -> None:
    """Refuse an HDF5 file by which the HDF5 library would run for ever.

    Every reader of the package calls it before it opens a file.

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
    except (OSError, ValueError) as error:
        if isinstance(error, DendrosimError):
            raise
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
