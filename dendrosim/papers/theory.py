"""Claims about gradients: eqs 9-15 of LSTM-LIF, and gradient retention (Fig. 4 of LRMM)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dendrosim.learn.gradients.propagation import (
    absolute_retention,
    retention_factors,
)
from dendrosim.papers.claims import Found

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dendrosim.learn.gradients.maps import ParameterMap
    from dendrosim.papers.workshop import Workshop

#: Eqs 9-10 follow from eqs 6-7 without leak.
NO_LEAK = {"alpha_1": 1.0, "alpha_2": 1.0}
#: Coefficients between 0 and 1, without the end points.
_BETWEEN = np.linspace(0.02, 0.98, 49)
HORIZONS = (1, 2, 4, 8, 16, 32, 48)


def coupling_map(beta_1: ArrayLike, beta_2: ArrayLike) -> ParameterMap:
    """Return the Jacobians of eqs 9-10 over both coefficients (Fig. 2), without reset."""
    from dendrosim.learn.gradients.maps import parameter_map

    return parameter_map("two_compartment", ("beta_1", beta_1), ("beta_2", beta_2), NO_LEAK)


def eq_13() -> Found:
    """Test whether eq. 13 is the one-step Jacobian or its square."""
    found = coupling_map([-0.5], [0.5])
    one, printed = found.jacobian[0, 0], found.total[0, 0]
    same = bool(np.allclose(printed, one) or np.allclose(printed, one @ one))
    return Found(
        same, f"at (-0.5, 0.5) printed {_matrix(printed)}, Jacobian {_matrix(one)}, its square "
        f"{_matrix(one @ one)}"
    )  # fmt: skip


def printed_norm(beta_1: float, beta_2: float) -> Found:
    """Return the value of eq. 14."""
    found = coupling_map([beta_1], [beta_2])
    return Found(float(found.printed_norm[0, 0]), f"at ({beta_1:g}, {beta_2:g})")


def eq_14_is_a_norm() -> Found:
    """Test whether eq. 14 is the norm of eq. 13 in the second quadrant."""
    found = coupling_map(-_BETWEEN, _BETWEEN)
    apart = ~np.isclose(found.norm, found.printed_norm)
    k = np.unravel_index(np.argmax(found.norm - found.printed_norm), apart.shape)
    return Found(
        not apart.any(), f"differs on {apart.mean():.0%} of the second quadrant, most at "
        f"({-_BETWEEN[k[1]]:.2g}, {_BETWEEN[k[0]]:.2g}): {found.printed_norm[k]:.3f} printed, "
        f"{found.norm[k]:.3f} without signs"
    )  # fmt: skip


def eq_14_above_1() -> Found:
    """Test whether eq. 14 is above 1 in the second quadrant."""
    least = coupling_map(-_BETWEEN, _BETWEEN).printed_norm.min()
    return Found(bool(least > 1), f"least value {least:.4f}")


def a_norm_above_1_suffices() -> Found:
    """Test whether a norm above 1 prevents vanishing products, with a leak as the example."""
    from dendrosim.learn.gradients.maps import parameter_map

    leak = {"alpha_1": 0.9, "alpha_2": 0.9}
    found = parameter_map("two_compartment", ("beta_1", [-0.5]), ("beta_2", [0.5]), leak)
    left = np.abs(np.linalg.matrix_power(found.jacobian[0, 0], 400)).max()
    return Found(
        bool(left > 1e-3), f"with a leak of 0.9 eq. 14 is {found.printed_norm[0, 0]:.3f}, and "
        f"after 400 steps {left:.1g} is left"
    )  # fmt: skip


def on_the_circle() -> Found:
    """Test whether, without spikes, LSTM-LIF has determinant 1 and eigenvalues of modulus 1."""
    found = coupling_map(-_BETWEEN, _BETWEEN)
    off = np.abs(found.spectral_radius - 1).max()
    determinant = np.abs(np.linalg.det(found.jacobian) - 1).max()
    angle = np.angle(np.linalg.eigvals(coupling_map([-0.5], [0.5]).jacobian[0, 0])).max()
    return Found(
        bool(max(off, determinant) < 1e-6), f"at (-0.5, 0.5) a rotation of period "
        f"{2 * np.pi / angle:.1f} steps; determinant 1 to {determinant:.0e}"
    )  # fmt: skip


def with_reset() -> Found:
    """Test whether the determinant of a step is still 1 with the reset."""
    from dendrosim.learn.gradients.linearised import Linearised

    at = np.linspace(-0.5, 2.5, 61)
    found = np.linalg.det(Linearised("lstm_lif").jacobian({"U_S": at}))
    least = int(np.argmin(found))
    return Found(
        bool(np.allclose(found, 1)),
        f"determinant {found[least]:.3g} at U_S = {at[least]:g}, the threshold (triangle)",
    )


def quadrant(beta_1: int, beta_2: int, gradients: str) -> Found:
    """Test whether gradients explode, vanish or neither in a quadrant of (beta_1, beta_2)."""
    found = coupling_map(beta_1 * _BETWEEN, beta_2 * _BETWEEN)
    low, high = found.spectral_radius.min(), found.spectral_radius.max()
    holds = {"explode": low > 1 + 1e-6, "vanish": high < 1 - 1e-6, "neither": high < 1 + 1e-6}
    printed = found.printed_norm
    return Found(
        bool(holds[gradients]), f"spectral radius {low:.3f} to {high:.3f}; eq. 14 "
        f"{printed.min():.3f} to {printed.max():.3f}"
    )  # fmt: skip


def eq_15() -> Found:
    """Test whether eq. 15 has the coefficients of the text: of the state, the input and a spike."""
    from dendrosim.learn.gradients.linearised import Linearised

    step = Linearised("lstm_lif")
    values = {"beta_1": -0.7, "beta_2": 0.3, "gamma": 0.4, "V_th": 1.2}
    b1, b2, gamma, v_th = values.values()
    away = step.jacobian(values=values)[1]
    reset = step.jacobian({"U_S": v_th}, values=values)[1] - away  # the surrogate slope is 1
    by_input = step.ports(values=values)[0][1, 0]
    text = np.array([away[1], away[0], by_input, -reset[1]])
    printed = np.array([1 + b1 * b2, b2, b2, b2 * gamma + v_th])
    return Found(bool(np.allclose(text, printed)), f"coefficients {_row(text)}, {_row(printed)}")


def keeps_longer(shop: Workshop, one: str, than: Sequence[str]) -> Found:
    """Test whether a trained network retains more of a gradient than those of other models.

    The retention is the median over samples, steps and neurons, at every horizon of `HORIZONS`
    from 8 on.
    """
    kept = {name: retention(shop, name) for name in (one, *than)}
    far = [k for k, h in enumerate(HORIZONS) if h >= 8]
    holds = all((kept[one][far] > kept[other][far]).all() for other in than)
    told = ", ".join(f"{name} {_power(factors[-1])}" for name, factors in kept.items())
    return Found(holds, f"median factor over {HORIZONS[-1]} steps: {told}")


def retention(shop: Workshop, name: str) -> np.ndarray:
    """Return the absolute retention in the last layer of a small trained network, per horizon."""
    slope = shop.trained(name).surrogate
    return absolute_retention(shop.paths(name)[-1].matrices(**slope), HORIZONS)


def lif_vanishes(shop: Workshop) -> Found:
    """Test whether LIF loses gradients exponentially: by the leak per step far from threshold."""
    slope = shop.trained("lif").surrogate
    factors = retention_factors(shop.paths("lif")[-1].matrices(**slope), [1, 48])
    one, far = (float(np.median(factors[h])) for h in (1, 48))
    return Found(
        bool(far <= one**48 * (1 + 1e-9) and far < 1e-3),
        f"{one:.2f} over a step, {_power(far)} over 48",
    )


def _power(factor: float) -> str:
    return "0" if factor == 0 else f"{factor:.2g}"


def _matrix(matrix: np.ndarray) -> str:
    return "[" + "; ".join(_row(row) for row in matrix) + "]"


def _row(row: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in np.round(row, 6))
