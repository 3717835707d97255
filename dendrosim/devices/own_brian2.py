"""Brian2 with its default preferences and runtime device, for the duration of a job.

A preference set in the user's script may change the order of operations in a step or the code of a
program.  Cached programs and results must not depend on it.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
from collections.abc import Iterator

import brian2 as b2
from brian2.devices.device import all_devices, get_device

from dendrosim.devices.compiler import machine
from dendrosim.devices.program_cache import cache_folder, key_of
from dendrosim.errors import DendrosimError

# All threads of a process share Brian2's device and preferences
_LOCK = threading.RLock()

# Not reset: the user's settings for logging, the GPU and the cache of Cython modules
_KEPT = (
    "logging.", "devices.cuda_standalone.", "codegen.max_cache_dir_size",
    "codegen.runtime.cython.delete_source_files", "codegen.runtime.cython.multiprocess_safe",
)  # fmt: skip

# Silenced warnings.  A threshold without a reset is intended: such a model has the reset in its
# equations.  Diverged states are handled by dendrosim, which reports neuron and time.
_SILENT = ("brian2.groups.neurongroup.only_threshold", "brian2.groups.group.invalid_values")


@contextlib.contextmanager
def own_brian2() -> Iterator[None]:
    """Set the preferences to their defaults, and restore them and the log levels afterwards.

    Raises
    ------
    DendrosimError
        If the user's script has set a standalone device.
    """
    with _LOCK:
        if get_device() is not all_devices["runtime"]:
            raise DendrosimError(
                "Brian2 is set to a standalone device; "
                "brian2.set_device('runtime') comes before a call of dendrosim"
            )
        saved = {name: b2.prefs[name] for name in b2.prefs}
        loggers = [logging.getLogger(name) for name in _SILENT]
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            _set_defaults()
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            for name, value in saved.items():
                b2.prefs[name] = value


def _set_defaults() -> None:
    for base, (preferences, _) in b2.prefs.pref_register.items():
        for name, preference in preferences.items():
            if not f"{base}.{name}".startswith(_KEPT):
                b2.prefs[f"{base}.{name}"] = copy.copy(preference.default)
    # Brian2's cache key is only the source, but with -march=native a module depends on the machine
    kept = cache_folder() / "cython" / key_of([machine(), b2.__version__])
    b2.prefs.codegen.runtime.cython.cache_dir = str(kept)
