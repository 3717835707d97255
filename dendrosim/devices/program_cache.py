"""The cache of compiled programs and libraries.

An entry is made once, by one process, and becomes visible only when it is complete.  It is checked
at each use: a damaged entry is made again, and an entry of another user is never run.
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

#: Scratch folders of processes on other computers are removed after this time (seconds).
FORGOTTEN = 86_400.0

_swept: set[Path] = set()


def cache_folder() -> Path:
    """Return the folder of the cache (``DENDROSIM_CACHE``, else in the user's cache folder)."""
    base = os.environ.get("DENDROSIM_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dendrosim"


def key_of(of: object) -> str:
    """Return the key of an entry: a hash of everything it depends on, given as plain values."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:24]


def scratch_folder(prefix: str) -> Path:
    """Return a new folder in the cache, in which an entry is made before it is renamed.

    Raises
    ------
    DendrosimError
        If the cache is not writable.
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
    """Return the prefix for the name of a scratch folder, with computer and process."""
    return f"{prefix}.{_computer()}-{os.getpid()}."


def _computer() -> str:
    """Return an identifier of this computer or container, which has its own process numbers."""
    space = Path("/proc/self/ns/pid")
    name = socket.gethostname() + (str(space.readlink()) if space.is_symlink() else "")
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def sweep(folder: Path) -> None:
    """Remove the scratch folders of killed processes, once per process.

    Their names identify them, see `scratch_name`.
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
    """Lock an entry, so that only one thread of one process makes it.

    Raises
    ------
    DendrosimError
        If the cache is not writable.
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
    """Return the size and hash of a file, for a later check that it is intact."""
    return [path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()]


def is_whole(path: Path, known: object) -> bool:
    """Whether a file has the size and hash `known`, which came from `digest`.

    Raises
    ------
    DendrosimError
        If the file belongs to another user, because it would not be safe to run.
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
    """An entry of the cache: a program, a kernel, a header or the Cython modules of a machine.

    Attributes
    ----------
    kind, name
        Kind of the entry, and its path in the cache.
    bytes
        Size.
    used
        Time of the last use, or of creation if that is unknown, in seconds of the system clock.
    """

    kind: str
    name: str
    bytes: int
    used: float


def entries() -> list[Entry]:
    """Return the entries of the cache, most recently used first."""
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
    with contextlib.suppress(FileNotFoundError):  # another process may have removed it
        return Entry(
            kind, str(path.relative_to(folder)), sum(p.stat().st_size for p in files),
            used.stat().st_mtime,
        )  # fmt: skip
    return Entry(kind, str(path.relative_to(folder)), 0, 0.0)


def limit_to(most: int) -> list[Entry]:
    """Remove the least recently used entries until the rest has at most `most` bytes.

    Returns
    -------
    list
        The removed entries.

    Raises
    ------
    DendrosimError
        If an entry cannot be removed.
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
                digest_of(path).unlink(missing_ok=True)
        except OSError as error:
            raise DendrosimError(f"{path} cannot be removed ({error.strerror})") from None
        removed.append(entry)
    return removed


def made_once(name: str, of: Sequence[str], make: Callable[[Path], Path]) -> Path:
    """Return a file of the cache; make it if it is missing or damaged.

    Parameters
    ----------
    name
        Name of the file, with ``{}`` as the placeholder for its key.
    of
        Everything the file depends on; its hash is the key.
    make
        Function that makes the file in a given folder and returns its path; the file is then
        moved into the cache.

    Raises
    ------
    DendrosimError
        If the cache is not writable.
    """
    key = key_of(list(of))
    kept = cache_folder() / name.format(key)
    if is_kept(kept, key):
        return kept
    with locked(key):
        if is_kept(kept, key):
            return kept
        scratch = scratch_folder(key)
        try:
            made = make(scratch)
            known = scratch / "digest.json"
            known.write_text(identity(made, key))
            kept.parent.mkdir(exist_ok=True)
            made.replace(kept)
            known.replace(digest_of(kept))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return kept


def identity(path: Path, key: str) -> str:
    """Return the text of the file beside a file of the cache: its size, its hash and its key."""
    return json.dumps([*digest(path), key])


def digest_of(kept: Path) -> Path:
    """Return the path of the file that holds the `identity` of a file of the cache."""
    return kept.with_name(f"{kept.name}.json")


def is_kept(kept: Path, key: str) -> bool:
    """Return whether a file of the cache is whole and has the key.

    Raises
    ------
    DendrosimError
        If the file belongs to another user.
    """
    try:
        known = json.loads(digest_of(kept).read_text())
    except (OSError, ValueError):
        return False
    # compare the key, too: an intact file may have been moved to the path of another entry
    return isinstance(known, list) and known[2:] == [key] and is_whole(kept, known[:2])
