"""The noise under which reductions are judged: around the rheobase of each biophysical neuron."""

from __future__ import annotations

import dendrosim as ds

#: Place, means and standard deviation of the noise (uA/cm^2) of each neuron.
NOISE = {
    "kepecs_wang_2000": ("dendrite", [0.35, 0.6, 0.85, 1.1], 0.8),
    "pinsky_rinzel_1994": ("soma", [-0.2, 0.13, 0.46, 0.8], 1.0),
}


def noise(name: str, seed: int, duration: str = "10 s") -> ds.Protocol:
    """Return Ornstein-Uhlenbeck noise at four means for a neuron of `NOISE`."""
    place, means, sigma = NOISE[name]
    listed = ", ".join(map(str, means))
    return ds.Protocol(
        duration,
        [ds.Stimulus(place, "ou", mean=f"[{listed}] uA/cm**2", sigma=f"{sigma} uA/cm**2",
                     tau="10 ms", sample="0.1 ms", seed=seed)],
        name="noise",
    )  # fmt: skip
