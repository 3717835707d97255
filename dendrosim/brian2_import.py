"""Imports Brian2 for this package without side effects on the process.

On import Brian2 evaluates a file ``brian_preferences`` of the current folder and one of the user's
home as code, replaces ``sys.excepthook``, so that every uncaught error of a script is reported as
one of Brian2, opens a log in the temporary folder, and installs a signal handler, which Python
allows in the main thread only.  None of these may happen because a model file was opened here.  A
script that imports Brian2 itself, before this package needs it, gets Brian2 as it is.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, MutableMapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType
from typing import Any

_PREFERENCES = "brian2.core.preferences"


class _Brian2Finder(MetaPathFinder):
    """Finds Brian2 for an import statement of this package; leaves all others to Python."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "brian2" and _asked_here(sys._getframe(1)):
            return _executed_by(_quietly, PathFinder.find_spec(name, path, target))
        return None


class _PreferencesFinder(MetaPathFinder):
    """Finds Brian2's module of preferences, whose files are not read while this is installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == _PREFERENCES:
            return _executed_by(_without_files, PathFinder.find_spec(name, path, target))
        return None


def _executed_by(execute: Callable, spec: ModuleSpec | None) -> ModuleSpec | None:
    """Let a module be executed by ``execute(module, loader)``."""
    if spec is not None and spec.loader is not None:
        found, loader = spec, spec.loader

        class Wrapped(Loader):
            def create_module(self, spec: ModuleSpec) -> ModuleType | None:
                return loader.create_module(spec)

            def exec_module(self, module: ModuleType) -> None:
                found.loader = module.__loader__ = loader
                execute(module, loader)

        spec.loader = Wrapped()
    return spec


def _quietly(module: ModuleType, loader: Loader) -> None:
    hook, handle, finder = sys.excepthook, signal.signal, _PreferencesFinder()
    sys.meta_path.insert(0, finder)
    if threading.current_thread() is not threading.main_thread():
        signal.signal = lambda signalnum, handler: signal.getsignal(signalnum)
    try:
        loader.exec_module(module)
        _restore(sys.modules[_PREFERENCES])
    finally:
        sys.meta_path.remove(finder)
        signal.signal = handle
        sys.excepthook = hook


def _without_files(module: ModuleType, loader: Loader) -> None:
    loader.exec_module(module)
    preferences = module.BrianGlobalPreferences
    vars(module)["load_preferences"] = preferences.load_preferences
    preferences.load_preferences = _no_files


def _no_files(preferences: MutableMapping[str, Any]) -> None:
    """Set what the files would have set: that Brian2 keeps no log and no copy of the script."""
    for name in ("file_log", "save_script", "std_redirection_to_file"):
        preferences[f"logging.{name}"] = False


def _restore(module: ModuleType) -> None:
    """Give the preferences their method back: who wants the files calls it."""
    module.BrianGlobalPreferences.load_preferences = module.load_preferences
    del module.load_preferences


def _asked_here(frame: FrameType | None) -> bool:
    """Whether the import statement that is being carried out stands in this package."""
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith("importlib") and name != __name__:
            return name.partition(".")[0] == __name__.partition(".")[0]
        frame = frame.f_back
    return False


def install() -> None:
    """Let imports of Brian2 that this package makes go through `_Brian2Finder`."""
    if "brian2" not in sys.modules:
        sys.meta_path.insert(0, _Brian2Finder())
