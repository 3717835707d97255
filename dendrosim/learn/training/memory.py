"""Memory reuse in training: every step allocates arrays of the same sizes."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

# options of glibc's `mallopt`
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keep freed memory in the process within this context.

    Normally glibc returns large arrays to the system at once, and each new page is zeroed again:
    nearly half of the time of an S-MNIST step.  At the end all memory is returned.  Without glibc
    this does nothing.
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
        # setting an option disables glibc's own rule, so set the values that it would reach
        library.mallopt(_MMAP_MAX, 65536)
        library.mallopt(_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(_TRIM_THRESHOLD, 64 << 20)
        library.malloc_trim(0)
