"""Claims about the loop of LRMM: eqs 10-21, A.6 and Fig. 6."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dendrosim.learn.gradients.propagation import geometric_gain, relative_factors
from dendrosim.papers.claims import Found

if TYPE_CHECKING:
    from dendrosim.papers.workshop import Workshop


def leak_or_nothing() -> Found:
    """Test whether, with the boxcar, the gain of a neuron is its leak or 0 (eq. 12)."""
    from dendrosim.learn.gradients.linearised import Linearised

    potentials = np.linspace(-1, 3, 401)
    gains = Linearised("lrmm", "boxcar", 1.0).jacobian({"U_I": potentials})[:, 0, 0]
    return Found(bool({*gains} == {0.0, 0.95}), f"gains {sorted({*gains.tolist()})}")


def loop_operator(samples: int = 200) -> Found:
    """Test whether M_t of A.6, with the gains of eqs 20-21, follows from the text of LRMM."""
    from dendrosim.learn.gradients.linearised import Linearised

    rng = np.random.default_rng(0)
    w_cm, w_mc = rng.uniform(-2, 2, (2, samples))
    alpha_m, alpha_c = rng.uniform(0.5, 1, (2, samples))
    at_t, at_next = ({f"U_{x}": rng.uniform(0, 2, samples) for x in "IMCO"} for _ in range(2))
    values = {"w_CM": w_cm, "w_MC": w_mc, "alpha_M": alpha_m, "alpha_C": alpha_c}
    step = Linearised("lrmm", "triangle", 1.0)
    inside = np.ix_(range(samples), *[[step.variables.index(f"U_{x}") for x in "MC"]] * 2)
    at_once = step.by_assignment(values=values, at=(at_t, at_next))[inside]
    over_a_step = step.jacobian(at_t, values=values, at=at_next)[inside]
    slope_m, slope_c, later = (
        np.maximum(0, 1 - np.abs(u - 1)) for u in (at_t["U_M"], at_t["U_C"], at_next["U_M"])
    )
    gain_m, gain_c = alpha_m * (1 - slope_m), alpha_c * (1 - slope_c)
    beta, gamma = slope_c * w_cm, slope_m * w_mc  # eq. 17
    printed = np.array([[gain_m + gamma * beta, gamma * gain_c], [beta, gain_c]])
    off = np.abs(np.moveaxis(printed, -1, 0) - np.swapaxes(at_once, -1, -2)).max()
    off_c = np.abs(over_a_step[:, 1, 1] - (gain_c + beta * later * w_mc)).max()  # eq. 20
    return Found(
        bool(max(off, off_c) < 1e-9),
        f"largest difference to autograd {max(off, off_c):.0e} in {samples} random states",
    )


def always_active(shop: Workshop, most: float = 0.01) -> Found:
    """Test whether the gain of N_C is rarely 0 (eq. 20): in at most this share of the steps."""
    (run,) = shop.paths("lrmm")
    inside = run.variables.index("U_C")
    gains = run.matrices(surrogate="boxcar", width=1.0)[..., inside, inside]
    none = float((gains == 0).mean())
    return Found(none <= most, f"it is 0 in {none:.0%} of the steps of a trained network")


def loop_gain(shop: Workshop, horizon: int = 32, least: float = 1.5) -> Found:
    """Test whether the loop of LRMM increases the gain of a step above `least` (Fig. 6)."""
    found = loop_gains(shop, horizon)
    gain = float(np.median(found)) if found.size else float("nan")
    boxcar = relative_factors(*loop_operators(shop, "boxcar"), [horizon])[horizon]
    none = 1 - np.isfinite(boxcar).mean()
    return Found(
        bool(gain > least), f"median gain {gain:.3f} (triangle); with the paper's boxcar the "
        f"factor without the loop is 0 and the ratio does not exist from {none:.0%} of the starts"
    )  # fmt: skip


def loop_gains(shop: Workshop, horizon: int) -> np.ndarray:
    """Return the gain per step added by the loop of LRMM, where the ratio is defined."""
    ratios = relative_factors(*loop_operators(shop, "triangle"), [horizon])[horizon].ravel()
    return geometric_gain(ratios[np.isfinite(ratios)], horizon)


def loop_operators(shop: Workshop, surrogate: str) -> tuple[np.ndarray, np.ndarray]:
    """Return M_t and D_t of the trained LRMM: a step with and without its loop (A.6)."""
    (run,) = shop.paths("lrmm")
    found = run.loop(surrogate=surrogate, width=1.0)
    assert found is not None  # LRMM has the loop
    return found
