"""The folder of compiled programs and libraries: made once, whole or not at all, checked when used.

Two processes that need the same entry wait for each other.  What is damaged is made again.  What
another user has made is not run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dendrosim.errors import DendrosimError

#: Scratch folders of processes on other computers are taken away after this time (seconds).
FORGOTTEN = 86_400.0

_swept: set[Path] = set()


def cache_folder() -> Path:
    """Return where compiled programs are kept (``DENDROSIM_CACHE``, else the user's cache)."""
    base = os.environ.get("DENDROSIM_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dendrosim"


def key_of(of: object) -> str:
    """Return the key of an entry: a hash of all that it depends on, as plain values."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:24]


def scratch_folder(prefix: str) -> Path:
    """Return a new folder beside the compiled programs, to make one in before it is renamed.

    Raises
    ------
    DendrosimError
        If nothing can be written there.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        return Path(tempfile.mkdtemp(prefix=scratch_name(prefix), dir=folder))
    except OSError as error:
        raise DendrosimError(_not_writable(folder, error)) from None


def _not_writable(folder: Path, error: OSError) -> str:
    return (
        f"compiled programs cannot be kept in {folder} ({error.strerror or error}); set "
        "DENDROSIM_CACHE to a folder that can be written"
    )


def scratch_name(prefix: str) -> str:
    """Return the beginning of the name of a scratch folder, with its computer and process."""
    return f"{prefix}.{_computer()}-{os.getpid()}."


def _computer() -> str:
    """Return what tells apart the computers, and containers, whose numbers of processes differ."""
    space = Path("/proc/self/ns/pid")
    name = socket.gethostname() + (str(space.readlink()) if space.is_symlink() else "")
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def sweep(folder: Path) -> None:
    """Take away the scratch folders that killed processes left, once for each process.

    They are recognised by their name, see `scratch_name`.
    """
    if folder in _swept:
        return
    _swept.add(folder)
    here = _computer()
    for left in folder.iterdir():
        host, _, process = [*left.name.split("."), "", ""][1].partition("-")
        if not process.isdigit() or not left.is_dir():
            continue
        with contextlib.suppress(OSError):
            old = time.time() - left.stat().st_mtime > FORGOTTEN
            if old if host != here else not _is_running(int(process)):
                shutil.rmtree(left, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


@contextlib.contextmanager
def locked(key: str) -> Iterator[None]:
    """Let one process and one thread at a time make an entry.

    Raises
    ------
    DendrosimError
        If nothing can be written there.
    """
    from filelock import FileLock

    folder = cache_folder() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{key}.lock", thread_local=False)
        lock.acquire()
    except OSError as error:
        raise DendrosimError(_not_writable(folder, error)) from None
    try:
        yield
    finally:
        lock.release()


def digest(path: Path) -> list:
    """Return size and hash of a file, to tell later whether it is still whole."""
    return [path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()]


def is_whole(path: Path, known: object) -> bool:
    """Whether a file has the size and hash of `digest`.

    Raises
    ------
    DendrosimError
        If the file is another user's: what it would do is not known.
    """
    try:
        if path.stat().st_uid != os.getuid():
            raise DendrosimError(
                f"{path} belongs to another user and is not run; set DENDROSIM_CACHE to a folder "
                "of your own"
            )
        return digest(path) == known
    except OSError:
        return False


class Entry(NamedTuple):
    """What is kept: a program, a kernel, a header or the Cython modules of one machine.

    Attributes
    ----------
    kind, name
        What it is, and its path in the folder.
    bytes
        Its size.
    used
        When it was last used, or made where that is not known, in seconds of the system's clock.
    """

    kind: str
    name: str
    bytes: int
    used: float


def entries() -> list[Entry]:
    """Return what is kept, the last used first."""
    folder = cache_folder()
    found = [
        *(("program", path.parent) for path in folder.glob("*/manifest.json")),
        *(("kernel", path) for path in folder.glob("kernel-*") if path.suffix != ".json"),
        *(("header", path) for path in folder.glob("headers/*.gch")),
        *(("modules", path) for path in folder.glob("cython/*")),
    ]
    rows = [_entry(kind, path, folder) for kind, path in found]
    return sorted(rows, key=lambda entry: -entry.used)


def _entry(kind: str, path: Path, folder: Path) -> Entry:
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    used = path / "manifest.json" if kind == "program" else path
    with contextlib.suppress(FileNotFoundError):  # removed meanwhile by another process
        return Entry(
            kind, str(path.relative_to(folder)), sum(p.stat().st_size for p in files),
            used.stat().st_mtime,
        )  # fmt: skip
    return Entry(kind, str(path.relative_to(folder)), 0, 0.0)


def limit_to(most: int) -> list[Entry]:
    """Remove the least recently used entries until the rest has at most so many bytes.

    Returns
    -------
    list
        What was removed.

    Raises
    ------
    DendrosimError
        If something cannot be removed.
    """
    folder, size, removed = cache_folder(), 0, []
    for entry in entries():
        size += entry.bytes
        if size <= most:
            continue
        path = folder / entry.name
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
                _digest_of(path).unlink(missing_ok=True)
        except OSError as error:
            raise DendrosimError(f"{path} cannot be removed ({error.strerror})") from None
        removed.append(entry)
    return removed


def made_once(name: str, of: Sequence[str], make: Callable[[Path], Path]) -> Path:
    """Return a file beside the compiled programs, made where it is not there or not whole.

    Parameters
    ----------
    name
        Of the file, with ``{}`` where the key of what it is made of stands.
    of
        All that it depends on.
    make
        Makes it in the folder that it is given and returns where; then it is renamed.

    Raises
    ------
    DendrosimError
        If nothing can be written there.
    """
    key = key_of(list(of))
    kept = cache_folder() / name.format(key)
    if _is_kept(kept, key):
        return kept
    with locked(key):
        if _is_kept(kept, key):
            return kept
        scratch = scratch_folder(key)
        try:
            made = make(scratch)
            known = scratch / "digest.json"
            known.write_text(json.dumps([*digest(made), key]))
            kept.parent.mkdir(exist_ok=True)
            made.replace(kept)
            known.replace(_digest_of(kept))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return kept


def _digest_of(kept: Path) -> Path:
    return kept.with_name(f"{kept.name}.json")


def _is_kept(kept: Path, key: str) -> bool:
    try:
        known = json.loads(_digest_of(kept).read_text())
    except (OSError, ValueError):
        return False
    # the key too: a file that was moved to the place of another is whole, but not that other
    return isinstance(known, list) and known[2:] == [key] and is_whole(kept, known[:2])
