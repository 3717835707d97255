"""The step of a NIR graph relative to its time constants: check and proposal."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable

from dendrosim.errors import DendrosimError
from dendrosim.networks.nir_paths import Step

#: Ratio of the shortest time constant to the proposed step.
STEPS_OF_A_TAU = 10


def check_step(path: Iterable[Step], dt: float, is_euler: bool, where: str) -> list[str]:
    """Compare a step with all time constants.

    Parameters
    ----------
    path
        Layers of neurons.
    dt
        The step in the graph's unit of time.
    is_euler
        Whether the neurons use Euler's step, which is stable up to two time constants.
    where
        Name of the graph, for messages.

    Returns
    -------
    list of str
        The warning, if any.

    Raises
    ------
    DendrosimError
        If Euler's step is more than twice as long as a time constant.
    """
    found = shortest(path)
    if found is None or dt <= found[0]:
        return []
    tau, node, field = found
    said = (
        f"{where}: dt = {dt:g} is {dt / tau:.3g} times as long as the shortest time constant, "
        f"{field} = {tau:g} of {node}"
    )
    advice = (
        f"dt counts in the graph's unit of time; dt = {proposed(path):g} is about a tenth of it"
    )
    if is_euler and dt > 2 * tau:
        raise DendrosimError(
            f"{said}, and Euler's step diverges if it is more than twice as long; {advice}"
        )
    what = "overshoots there" if is_euler else "forgets there what came before"
    said = f"{said}: a neuron {what}; {advice}"
    warnings.warn(said, stacklevel=3)
    return [said]


def proposed(path: Iterable[Step]) -> float | None:
    """Return a step of 1, 2 or 5 times a power of ten, about a tenth of the shortest time constant.

    None if the graph has no time constant, for example with only ``IF`` neurons.
    """
    found = shortest(path)
    if found is None:
        return None
    most = found[0] / STEPS_OF_A_TAU
    power = 10.0 ** math.floor(math.log10(most))
    digit = max((d for d in (1, 2, 5) if d * power <= most * (1 + 1e-9)), default=1)
    return float(f"{digit * power:.1e}")


def shortest(path: Iterable[Step]) -> tuple[float, str, str] | None:
    """Return the shortest positive time constant, with its node and field."""
    all_of_them = [
        (float(tau), step.name, field)
        for step in path
        for field, values in step.fields.items()
        if field.startswith("tau")
        for tau in values
        if 0 < tau < math.inf
    ]
    return min(all_of_them, default=None)
