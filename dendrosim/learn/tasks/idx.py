"""The idx format of MNIST: magic number, sizes, then bytes (LeCun, Cortes and Burges)."""

from __future__ import annotations

import gzip
import io
import struct
import zlib

import numpy as np

from dendrosim.errors import DendrosimError

_UNSIGNED_BYTE = 0x08
_GZIP = b"\x1f\x8b"


def unpacked(content: bytes, where: str, most: int) -> bytes:
    """Return the content, decompressed if it is gzip.

    Parameters
    ----------
    content
        Content of the file.
    where
        File name, for error messages.
    most
        Maximum size in bytes after decompression; decompression stops there.

    Raises
    ------
    DendrosimError
        If it starts like gzip but is invalid, or is larger when decompressed.
    """
    if not content.startswith(_GZIP):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            found = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DendrosimError(f"{where}: damaged or cut short ({error})") from None
    if len(found) > most:
        raise DendrosimError(f"{where}: unpacks to more than {most:,} bytes, too large for it")
    return found


def read_idx(content: bytes, dimensions: int, where: str) -> np.ndarray:
    """Read an array of unsigned bytes.

    Parameters
    ----------
    content
        Content of the file.
    dimensions
        Required number of dimensions: 3 for images, 1 for labels.
    where
        File name, for error messages.

    Raises
    ------
    DendrosimError
        If the magic number or the length is wrong.
    """
    start = 4 + 4 * dimensions
    magic = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
    if content[:4] != magic or len(content) < start:
        raise DendrosimError(
            f"{where}: begins with {content[:4].hex() or 'nothing'}, not with {magic.hex()} as an "
            f"idx file of {dimensions} dimension(s) does"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    size = int(np.prod(shape, dtype=object))
    if len(content) - start != size:
        raise DendrosimError(
            f"{where}: holds {len(content) - start:,} bytes after its head, which says {size:,}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
