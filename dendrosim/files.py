"""Paths and files: checks of paths, and atomic writing of files."""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    """Whether a file exists; False if the path cannot be accessed."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # no permission, a name too long, a null byte
        return False


def target(path: str | os.PathLike) -> Path:
    """Return the file that writing to a path would change: for a link, its destination.

    Parameters
    ----------
    path
        The file to create or replace.

    Raises
    ------
    DendrosimError
        If the folder does not exist, or the path is a folder, a device, read-only, or a circular
        link.
    """
    path = Path(path_text(path, "file"))
    try:
        real = Path(os.path.realpath(path))
        if not real.parent.is_dir():
            raise DendrosimError(f"{path}: cannot be written: there is no folder {real.parent}")
        if real.is_symlink():
            raise DendrosimError(f"{path}: cannot be written: it is a circular link")
        if not real.exists():
            return real
        mode = real.stat().st_mode
        if stat.S_ISDIR(mode):
            raise DendrosimError(f"{path}: cannot be written: it is a folder")
        if not stat.S_ISREG(mode):
            raise DendrosimError(f"{path}: cannot be written: it is a device or a pipe, not a file")
        # the superuser can write every file, so check whether the write permissions were removed
        if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(real, os.W_OK):
            raise DendrosimError(
                f"{path}: cannot be written: it is read-only; take another name, or chmod u+w"
            )
    except (OSError, ValueError) as error:  # a null byte is a ValueError
        if isinstance(error, DendrosimError):
            raise
        raise DendrosimError(f"{path}: cannot be written ({_first(error)})") from None
    return real


def make_folder(path: str | os.PathLike) -> Path:
    """Make a folder and its parents where they do not exist; return its path.

    Raises
    ------
    DendrosimError
        If it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DendrosimError(f"{path}: cannot be a folder ({error.strerror})") from None
    return folder


class replacing:  # noqa: N801 (reads as a verb: with replacing(path) as temporary)
    """Write a file under a temporary name in the same folder and rename it on success.

    An existing file keeps its permissions.  A link stays a link, and its destination is
    replaced.  A read-only file is not replaced.

    Parameters
    ----------
    path
        The file to create.

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
            # the kernel applies the user's permission mask
            os.close(os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            if self.target.exists():
                self.temporary.chmod(stat.S_IMODE(self.target.stat().st_mode))
        except OSError as error:
            self.temporary.unlink(missing_ok=True)
            raise DendrosimError(f"{self.path}: cannot be written ({_first(error)})") from None
        return self.temporary

    def __exit__(self, kind: type | None, error: BaseException | None, *_: object) -> None:
        """Rename the temporary file, or delete it after an error."""
        try:
            if kind is None:
                self.temporary.replace(self.target)
        except OSError as failed:
            error = failed
        finally:
            self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DendrosimError(f"{self.path}: cannot be written ({_first(error)})") from None


def write_made(path: str | os.PathLike, make: Callable[[io.BytesIO], Any]) -> None:
    """Write a file created by a library: in memory first, then to disk atomically.

    Some libraries do not raise an `OSError` for a full disk (torch), or end the process later
    (HDF5).  Needs memory for the whole file.

    Parameters
    ----------
    path
        The file.
    make
        Function that gets an open binary file.

    Raises
    ------
    DendrosimError
        As for `replacing`.
    """
    target(path)  # check the path before creating the content
    buffer = io.BytesIO()
    make(buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _first(error: Exception) -> str:
    return (str(error).splitlines() or ["unknown"])[0]
