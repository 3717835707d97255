"""Claims about the biophysical neuron of LSTM-LIF's supplement A: eqs 16-19 and Table 3."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dendrosim.papers.claims import Found

#: Current into the dendrite: four spikes per burst with the reference values.
DRIVE, DURATION = "1 uA/cm**2", "450 ms"
#: Initial response in seconds, which is excluded, and the longest interval inside a burst.
FIRST, INSIDE = 0.15, 0.02


def still_bursts(variant: str) -> Found:
    """Test whether the printed neuron bursts; without the misprint it does."""
    right, printed = (_spikes_per_burst(name) for name in ("", f":{variant}"))
    return Found(
        printed >= 2, f"{printed:.1f} spikes a burst as printed, {right:.1f} without the misprint"
    )


def coefficients_of_the_derivation(signs: tuple[int, int] = (-1, 1)) -> Found:
    """Test whether the derivation of eqs 6-7 gives these signs of beta_1 and beta_2."""
    from dendrosim.model.toml import load_model
    from dendrosim.reduction.reduced import Reduction
    from dendrosim.reduction.reduction import reduce

    reduced = reduce(load_model("kepecs_wang_2000"), dt="0.1 ms", method="euler")
    assert isinstance(reduced, Reduction)  # the linear one
    found = reduced.coefficients
    told = ", ".join(f"{name} = {value:.4g}" for name, value in found.items())
    betas = np.sign([found["beta_1"], found["beta_2"]])
    return Found(bool(np.array_equal(betas, signs)), f"an Euler step of 0.1 ms gives {told}")


@lru_cache
def _spikes_per_burst(variant: str) -> float:
    from dendrosim.measures.burst_detection import bursts
    from dendrosim.model.toml import load_model
    from dendrosim.simulation.protocol import Protocol
    from dendrosim.simulation.run import simulate
    from dendrosim.simulation.stimuli import Stimulus

    protocol = Protocol(DURATION, [Stimulus("dendrite", "constant", amplitude=DRIVE)])
    model = load_model(f"kepecs_wang_2000{variant}")
    run = simulate(model, protocol, dt="0.1 ms", device="numpy", record=[], progress=False)
    train = run.spikes(0)
    return bursts(train[train > FIRST], max_isi=INSIDE).spikes_per_burst
