"""Noise under which a neuron fires neither never nor regularly: around its rheobase."""

from __future__ import annotations

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.measures import rheobase
from dendrosim.model.model import Model
from dendrosim.model.quantities import DENSITY
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.run import simulate
from dendrosim.simulation.stimuli import Stimulus

#: Constant currents that the rheobase is sought among (uA/cm**2).
AMPLITUDES = np.round(np.logspace(-1.5, 1.5, 31), 6)
#: Means and standard deviation of the noise, in multiples of the rheobase.
MEANS, SIGMA = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0), 1.5


def usual_drives(model: Model, device: str = "cpp") -> list[Protocol]:
    """Return noise around the rheobase into each compartment of a model.

    A spike that starts in the soma differs from one that starts in the dendrite, so a reduction
    that saw one of them does not tell the other.
    """
    places = [place for place in ("dendrite", "soma") if place in model.inputs]
    if not places:
        return [noise_around_rheobase(model, device)]
    return [noise_around_rheobase(model, device, place) for place in places]


def noise_around_rheobase(model: Model, device: str = "cpp", place: str | None = None) -> Protocol:
    """Return Ornstein-Uhlenbeck noise at several means around the rheobase of a model.

    Parameters
    ----------
    model
        A model with an input in A/m^2.
    device
        As in `simulate`.
    place
        Where the noise goes in; by default the dendrite, if there is one.

    Raises
    ------
    DendrosimError
        If its inputs have another unit, or if no constant current makes it fire.
    """
    if place is None:
        place = "dendrite" if "dendrite" in model.inputs else next(iter(model.inputs))
    if model.dims[model.inputs[place]] is not DENSITY:
        raise DendrosimError(
            f"{model.name}: the input into {place} is no current density, so the noise that "
            "suits it is not known; give a protocol"
        )
    listed = ", ".join(map(str, AMPLITUDES))
    step = Protocol(
        "1 second", [Stimulus(place, "constant", amplitude=f"[{listed}] uA/cm**2")],
        measure={"start": "300 ms"},
    )  # fmt: skip
    run = simulate(model, step, device=device, record=[], diverged="nan", progress=False)
    counts = np.array([np.sum(train >= 0.3) for train in run.trains])
    # a current fires the neuron if it does so again and again
    found = rheobase(AMPLITUDES, np.where(counts >= 2, counts, 0))
    if np.isnan(found):
        raise DendrosimError(
            f"{model.name} fires under no constant current up to {AMPLITUDES[-1]:.3g} uA/cm**2 "
            f"into {place}; give a protocol under which it fires"
        )
    means = ", ".join(f"{found * mean:.6g}" for mean in MEANS)
    noise = Stimulus(
        place, "ou", mean=f"[{means}] uA/cm**2", sigma=f"{found * SIGMA:.6g} uA/cm**2",
        tau="10 ms", sample="0.1 ms", seed=0, independent=True,
    )  # fmt: skip
    return Protocol("6 second", [noise], name=f"noise_into_{place}")
