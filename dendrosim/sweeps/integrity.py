"""Whether the files of a store are all there and whole.

Every chunk has a checksum (a filter of numcodecs), so a changed bit is an error when it is read.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dendrosim.errors import DendrosimError

#: What zarr and its codecs raise for a damaged file.
BROKEN = (OSError, RuntimeError, ValueError, TypeError, KeyError)


def checksum() -> Any:
    """Return the filter of an array that adds a checksum to each chunk."""
    from numcodecs import CRC32

    return CRC32(location="end")


def chunk_keys(array: Any) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Yield the name of the file of each chunk of an array, and its part of the array."""
    counts = [-(-n // size) for n, size in zip(array.shape, array.chunks, strict=True)]
    for place in itertools.product(*map(range, counts)):
        part = tuple(slice(k * n, (k + 1) * n) for k, n in zip(place, array.chunks, strict=True))
        yield ".".join(map(str, place)), part


def is_whole(array: Any, part: Any) -> bool:
    """Whether a part of an array can be read."""
    try:
        array[part]
    except BROKEN:
        return False
    return True


def check_fixed(path: Path, arrays: dict[str, Any]) -> None:
    """Refuse a store whose axes or seeds lack a file or have a damaged one.

    Raises
    ------
    DendrosimError
    """
    for name, array in arrays.items():
        for key, part in chunk_keys(array):
            where = path / name / key
            wrong = "is damaged" if where.is_file() else "is missing"
            if not where.is_file() or not is_whole(array, part):
                raise DendrosimError(
                    f"{where} {wrong}, so that the values of {name} are not known; give another "
                    "folder, or a copy of this one"
                )


def check_descriptions(path: Path) -> None:
    """Refuse a store in which the description of an array cannot be read.

    Raises
    ------
    DendrosimError
    """
    for own in sorted(path.glob("*/.zarray")):
        try:
            json.loads(own.read_text())["shape"]
        except (OSError, ValueError, KeyError, TypeError):
            raise DendrosimError(
                f"{own} is damaged, so that the array cannot be read; give another folder, or a "
                "copy of this one"
            ) from None


def has_file(folder: Path) -> bool:
    """Whether the array of a folder has its file; one without values has none."""
    try:
        shape = json.loads((folder / ".zarray").read_text())["shape"]
    except (OSError, ValueError, KeyError):
        return False
    key = ".".join(["0"] * len(shape))
    return 0 in shape or (folder / key).is_file()
