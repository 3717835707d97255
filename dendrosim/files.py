"""Paths and files: what a path names, and files that are written whole or not at all."""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from dendrosim.errors import DendrosimError


def path_text(name: Any, what: str) -> str:
    """Return a name or path as text.

    Raises
    ------
    DendrosimError
        If it is neither text nor a path.
    """
    if isinstance(name, os.PathLike):
        name = os.fspath(name)
    if not isinstance(name, str) or not name:
        raise DendrosimError(f"{name!r} is not the name or the path of a {what}")
    return name


def is_file(path: Path) -> bool:
    """Whether there is a file; a path that cannot be looked at has none."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # no permission, a name too long, a null byte
        return False


def target(path: str | os.PathLike) -> Path:
    """Return the file that writing to a path changes: of a link, the file it points to.

    Parameters
    ----------
    path
        The file to make or to replace.

    Raises
    ------
    DendrosimError
        If its folder is not there, or it is a folder, a device, read-only, or a link in a circle.
    """
    path = Path(path_text(path, "file"))
    try:
        real = Path(os.path.realpath(path))
        if not real.parent.is_dir():
            raise DendrosimError(f"{path}: cannot be written: there is no folder {real.parent}")
        if real.is_symlink():
            raise DendrosimError(f"{path}: cannot be written: it is a link in a circle")
        if not real.exists():
            return real
        mode = real.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DendrosimError(f"{path}: cannot be written: it is a folder")
        if not stat.S_ISREG(mode):
            raise DendrosimError(f"{path}: cannot be written: it is a device or a pipe, not a file")
        # to the superuser every file is writable: what counts is that somebody took the right away
        if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(real, os.W_OK):
            raise DendrosimError(
                f"{path}: cannot be written: it is read-only; take another name, or chmod u+w"
            )
    except (OSError, ValueError) as error:  # a null byte is a ValueError
        if isinstance(error, DendrosimError):
            raise
        raise DendrosimError(f"{path}: cannot be written ({_first(error)})") from None
    return real


class replacing:  # noqa: N801 (reads as a verb: with replacing(path) as temporary)
    """Write a file under a temporary name beside it and rename it when all went well.

    A file that is there keeps its permissions, a link stays a link: what it points to is
    replaced.  A file that is read-only is not replaced.

    Parameters
    ----------
    path
        The file to make.

    Raises
    ------
    DendrosimError
        If the file cannot be written (see `target`), or the disk is full.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path_text(path, "file"))

    def __enter__(self) -> Path:
        """Return the temporary path, with the same ending."""
        self.target = target(self.path)
        name = f".{self.target.stem[:100]}-{secrets.token_hex(4)}{self.target.suffix}"
        self.temporary = self.target.with_name(name)
        try:
            # made by the kernel with the permissions that the user's mask leaves
            os.close(os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            if self.target.exists():
                self.temporary.chmod(stat.S_IMODE(self.target.stat().st_mode))
        except OSError as error:
            self.temporary.unlink(missing_ok=True)
            raise DendrosimError(f"{self.path}: cannot be written ({_first(error)})") from None
        return self.temporary

    def __exit__(self, kind: type | None, error: BaseException | None, *_: object) -> None:
        """Rename, or take the temporary file away."""
        try:
            if kind is None:
                self.temporary.replace(self.target)
        except OSError as failed:
            error = failed
        finally:
            self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DendrosimError(f"{self.path}: cannot be written ({_first(error)})") from None


def write_made(path: str | os.PathLike, make: Callable[[BinaryIO], Any]) -> None:
    """Write what a library makes: in memory first, then whole or not at all.

    It is for libraries that do not say in an `OSError` that a disk is full (torch), or end the
    process later (HDF5).  It takes the file's size in memory.

    Parameters
    ----------
    path
        The file.
    make
        Is called with an open binary file.

    Raises
    ------
    DendrosimError
        As `replacing`.
    """
    target(path)  # what cannot be written need not be made
    buffer = io.BytesIO()
    make(buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _first(error: Exception) -> str:
    return (str(error).splitlines() or ["unknown"])[0]
