"""Compiled Cython modules in the cache, each with a file that contains its size and hash.

Brian2 imports an existing module without a check; a truncated one causes a bus error.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

from dendrosim.devices.program_cache import digest, is_whole

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
            if not _is_kept(module):
                _beside(module).unlink(missing_ok=True)
                module.unlink()


def keep(modules: Iterable[Path]) -> None:
    """Write the size and hash of compiled and loaded modules into files beside them."""
    for module in modules:
        beside = _beside(module)
        with contextlib.suppress(OSError):  # the folder may be read-only
            if not beside.exists():
                fresh = beside.with_suffix(".new")
                fresh.write_text(json.dumps([module.name, *digest(module)]))
                fresh.replace(beside)


def _beside(module: Path) -> Path:
    return module.with_name(f"{module.name}.json")


def _is_kept(module: Path) -> bool:
    try:
        name, *known = json.loads(_beside(module).read_text())
    except FileNotFoundError:
        return time.time() - module.stat().st_mtime < NEW
    except (OSError, ValueError, TypeError):
        return False
    return name == module.name and is_whole(module, known)
