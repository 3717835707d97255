"""The compiled Cython modules of the cache: each has its size and hash beside it.

Brian2 imports a module that is there as it is: half of one ends the process with a bus error.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

from dendrosim.devices.program_cache import digest, is_whole

#: A module without its hash is another process's, which has just made it, for so long (s).
NEW = 600.0

_checked: set[Path] = set()


def remove_damaged(folder: Path) -> None:
    """Remove modules that are not what was compiled, once for each process: they are made again.

    Raises
    ------
    DendrosimError
        If a module is another user's.
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
    """Write size and hash beside modules that were compiled and loaded."""
    for module in modules:
        beside = _beside(module)
        with contextlib.suppress(OSError):  # a folder that cannot be written is read as it is
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
