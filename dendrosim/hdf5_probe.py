"""A process that reads HDF5 files before the package does, so that only this process can crash.

`dendrosim.hdf5` starts it without the rest of the package.  It reads one path per line, as JSON,
and answers with one line: an empty text, or the reason why the file cannot be read.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

#: Limits of processor time and memory per file, and of bytes of data that are read.
SECONDS = 20
MEMORY = 3_000_000_000
READ = 64_000_000


def probe(path: str) -> str:
    """Read a file, up to `READ` bytes of data; return the reason of a failure, or an empty text."""
    try:
        with h5py.File(path, "r") as file:
            left = [READ]
            _attributes(file)
            for item in _items(file, 0):
                _attributes(item)
                if isinstance(item, h5py.Dataset):
                    _data(item, left)
    except BaseException as error:
        return (str(error).splitlines() or [""])[0] or type(error).__name__
    return ""


def _items(group: h5py.Group, depth: int) -> Any:
    if depth > 30:  # a circular link; the readers have their own limits
        return
    for key in group:
        if isinstance(group.get(key, getlink=True), h5py.HardLink):
            item = group[key]
            yield item
            if isinstance(item, h5py.Group):
                yield from _items(item, depth + 1)


def _attributes(item: Any) -> None:
    for key in item.attrs:
        _follow(item, item.attrs[key])
    if isinstance(item, h5py.Dataset):
        for dimension in item.dims:
            list(dimension.items())


def _follow(item: Any, value: Any) -> None:
    if isinstance(value, h5py.Reference):
        item.file[value]
    elif isinstance(value, np.ndarray) and value.dtype == object and value.size < 10_000:
        for inner in value.ravel():
            _follow(item, inner)


def _data(item: h5py.Dataset, left: list[int]) -> None:
    size = item.size * item.dtype.itemsize if item.size else 0
    if item.is_virtual or item.external or size > left[0]:
        return
    left[0] -= size
    item[()]


def main() -> None:
    """Answer line by line until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    _limit_memory()
    for line in sys.stdin:
        if hasattr(signal, "setitimer"):  # the kernel also stops a loop inside the library
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
        said = probe(json.loads(line))
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(said), file=answers, flush=True)


def _limit_memory() -> None:
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):  # not supported by this system
        return


if __name__ == "__main__":
    main()
