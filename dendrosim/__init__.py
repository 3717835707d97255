"""dendrosim: from ion channels to trained spiking circuits, in Brian2.

>>> import dendrosim as ds
>>> model = ds.load_model("kepecs_wang_2000")
>>> recording = ds.simulate(model, ds.load_protocol("step"))    # doctest: +SKIP

Names are imported when they are first used, so importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dendrosim import brian2_import
from dendrosim._version import __version__

brian2_import.install()

_HOME = {
    "DendrosimError": "errors",
    "DivergenceError": "errors",
    "Model": "model",
    "load_model": "model_table",
    "Protocol": "protocol",
    "load_protocol": "protocol",
    "Stimulus": "stimuli",
    "Recording": "recording",
    "load_recording": "recording",
    "simulate": "simulation",
    "Reduction": "reduction",
    "reduce": "reduction",
    "Comparison": "comparison",
    "compare": "comparison",
    "Layer": "network",
    "Network": "network",
    "load_network": "network_files",
    "run_network": "network_run",
    "verify": "verification",
    "citation": "citations",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"dendrosim.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    try:
        return import_module(f"dendrosim.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"dendrosim.{name}":
            raise
        raise AttributeError(f"module 'dendrosim' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted(__all__)
