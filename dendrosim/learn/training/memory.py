"""Memory of a training: every step takes the same arrays, so what one frees the next one gets."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

# glibc's names of what `mallopt` sets
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep freed memory in the process for a while.

    glibc gives large arrays back as soon as they are freed, and the system hands out fresh pages,
    zeroed one by one: nearly half of a step of S-MNIST.  Afterwards all is given back.  Elsewhere
    than with glibc nothing is done.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        yield
        return
    library.mallopt(_TRIM_THRESHOLD, -1)
    library.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        # What glibc's own rule, which an option switches off, comes to with large arrays
        library.mallopt(_MMAP_MAX, 65536)
        library.mallopt(_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(_TRIM_THRESHOLD, 64 << 20)
        library.malloc_trim(0)
