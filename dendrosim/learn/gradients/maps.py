"""Jacobian of a step as a function of two model parameters: data of a contour map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.learn.gradients.linearised import Linearised
from dendrosim.learn.gradients.propagation import column_norm, spectral_radius
from dendrosim.model.model import Model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class ParameterMap:
    """Jacobians over a grid of two parameters.

    Attributes
    ----------
    names
        The parameters along x and along y.
    x, y
        Their values.
    jacobian
        Jacobian of one step at the given state, shape (len(y), len(x), k, k).
    total
        The same with total derivatives, as in eq. 13 of Zhang et al. (2023).
    """

    names: tuple[str, str]
    x: Array
    y: Array
    jacobian: Array
    total: Array

    @property
    def printed_norm(self) -> Array:
        """Eq. 14 as printed: largest column sum of `total`, with signs."""
        return column_norm(self.total, absolute=False)

    @property
    def norm(self) -> Array:
        """Largest column sum of absolute values of `total`: the norm intended by eq. 14."""
        return column_norm(self.total)

    @property
    def spectral_radius(self) -> Array:
        """Spectral radius of `jacobian`: whether its products vanish or explode."""
        return spectral_radius(self.jacobian)


def parameter_map(
    model: Model | str, x: tuple[str, ArrayLike], y: tuple[str, ArrayLike],
    values: Mapping[str, Any] | None = None, state: Mapping[str, float] | None = None,
    **surrogate: Any,
) -> ParameterMap:  # fmt: skip
    """Return the Jacobians of a model over a grid of two of its values.

    Parameters
    ----------
    model
        A discrete model, or its name or path.
    x, y
        Name of a parameter or derived value, and its values, shapes (nx,) and (ny,).
    values
        Values that replace those of the model.
    state
        State at which the step is linearised; by default 0, which is far from threshold.
    **surrogate
        ``surrogate``, ``width`` and ``detach_reset``, see `Linearised`.

    Raises
    ------
    DendrosimError
        If the model has no such parameter or derived value.
    """
    step = Linearised(model, **surrogate)
    known = step.model.values()
    for name, _ in (x, y):
        if name not in known:
            raise DendrosimError(f"{step.model.name} has no {name!r}; {did_you_mean(name, known)}")
    across, up = (np.asarray(grid, dtype=float) for _, grid in (x, y))
    grid = {**(values or {}), x[0]: across[None, :], y[0]: up[:, None]}
    return ParameterMap(
        (x[0], y[0]), across, up,
        step.jacobian(state, values=grid), step.total(state, values=grid),
    )  # fmt: skip
