"""Compiled Cython modules in the cache, each with a file that contains its size and hash.

Brian2 imports an existing module without a check; a truncated one causes a bus error.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from dendrosim.devices.program_cache import digest_of, identity, is_kept
from dendrosim.errors import DendrosimError
from dendrosim.files import replacing

#: Up to this age (s), a module without a hash is kept: another process may have just compiled it.
NEW = 600.0

_checked: set[Path] = set()


def remove_damaged(folder: Path) -> None:
    """Remove damaged modules, once per process; Brian2 compiles them again.

    Raises
    ------
    DendrosimError
        If a module belongs to another user.
    """
    if folder in _checked:
        return
    _checked.add(folder)
    for module in folder.glob("*.so"):
        with contextlib.suppress(OSError):
            if not _is_whole(module):
                digest_of(module).unlink(missing_ok=True)
                module.unlink()


def keep(modules: Iterable[Path]) -> None:
    """Write the size and hash of compiled and loaded modules into files beside them."""
    for module in modules:
        beside = digest_of(module)
        with contextlib.suppress(OSError, DendrosimError):  # the folder may be read-only
            if not beside.exists():
                with replacing(beside) as temporary:
                    temporary.write_text(identity(module, module.name))


def _is_whole(module: Path) -> bool:
    if not digest_of(module).exists():
        return time.time() - module.stat().st_mtime < NEW
    return is_kept(module, module.name)
