"""Parts that only some models have, for code that needs them."""

from __future__ import annotations

from brian2 import Quantity

from dendrosim.errors import DendrosimError
from dendrosim.model.model import Model
from dendrosim.model.parts import Scales


def output_of(model: Model) -> str:
    """Return the spike variable of a discrete model.

    Raises
    ------
    DendrosimError
        If the model is continuous.
    """
    if model.output is None:
        raise DendrosimError(f"{model.name} is {model.kind}: it has no 'output', which is needed")
    return model.output


def scales_of(model: Model) -> Scales:
    """Return the physical units of a discrete model.

    Raises
    ------
    DendrosimError
        If the model has none.
    """
    if model.scales is None:
        raise DendrosimError(f"{model.name} has no 'scales', which are needed")
    return model.scales


def dt_of(model: Model) -> Quantity:
    """Return the time step in the text of a model.

    Raises
    ------
    DendrosimError
        If the model has none.
    """
    if model.dt is None:
        raise DendrosimError(f"{model.name} has no 'dt', which is needed")
    return model.dt
