"""Analysis of a network in one report: rates, gradient retention, stability, energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim import energy
from dendrosim.energy.conventions import Count, side_by_side
from dendrosim.errors import DendrosimError
from dendrosim.learn.gradients.propagation import (
    relative_retention,
    retention_factors,
    spectral_radius,
)
from dendrosim.learn.gradients.trajectories import LayerRun, follow
from dendrosim.networks.inputs import as_input
from dendrosim.networks.network import Network
from dendrosim.tables import aligned, number

Array = np.ndarray

#: The default random input; the rate is in spikes per step.
SAMPLES, STEPS, RATE = 4, 100, 0.1
#: Largest size of a whole layer's Jacobian for which eigenvalues are computed.
LARGEST = 1200
#: Number of steps at which the Jacobian of a whole layer is evaluated.
MOMENTS = 5


@dataclass(frozen=True, eq=False)
class LayerAnalysis:
    """Results for one layer.

    Attributes
    ----------
    model, neurons, variables
        Model name, number of neurons, and state variables of the model.
    rate, silent
        Spikes per step; share of neurons that never spike.
    radius
        Spectral radius of the one-step Jacobian of each neuron: 5th, 50th and 95th percentile
        over samples, steps and neurons.
    whole_radius
        Median spectral radius of the whole layer including its recurrent weights; NaN if there
        are none or if the Jacobian is larger than `LARGEST`.
    retention
        Horizon to the median of the absolute gradient retention factor.
    lost
        Horizon to the share of starts after which the gradient has vanished completely.
    relative
        Horizon to the relative retention of a memory loop; None if the model has no such loop.
    """

    model: str
    neurons: int
    variables: tuple[str, ...]
    rate: float
    silent: float
    radius: tuple[float, float, float]
    whole_radius: float
    retention: Mapping[int, float]
    lost: Mapping[int, float]
    relative: Mapping[int, float] | None


@dataclass(frozen=True, eq=False)
class Analysis:
    """Results for a network.

    Attributes
    ----------
    layers
        One `LayerAnalysis` per layer.
    counts
        Convention to the operations per step, including input and readout.
    meta
        Samples, steps, source of the input, surrogate.
    """

    layers: tuple[LayerAnalysis, ...]
    counts: Mapping[str, Count]
    meta: Mapping[str, Any]

    def text(self) -> str:
        """Return the report as text."""
        meta = self.meta
        horizons = list(self.layers[0].retention)
        columns: dict[str, list] = {
            "layer": [f"{k} {layer.model}" for k, layer in enumerate(self.layers)],
            "neurons": [layer.neurons for layer in self.layers],
            "spikes per step": [layer.rate for layer in self.layers],
            "silent": [f"{layer.silent:.0%}" for layer in self.layers],
            "spectral radius": [layer.radius[1] for layer in self.layers],
            "with weights": [layer.whole_radius for layer in self.layers],
        }
        columns |= {
            f"kept over {h}": [layer.retention[h] for layer in self.layers] for h in horizons
        }
        lines = [
            f"{meta['samples']} sample(s) of {meta['steps']} steps, {meta['input']}; surrogate "
            f"{meta['surrogate']}", "", *aligned(columns),
        ]  # fmt: skip
        for k, layer in enumerate(self.layers):
            if layer.relative is not None:
                told = ", ".join(f"{number(v)} over {h}" for h, v in layer.relative.items())
                lines += ["", f"layer {k}: kept with its memory loop, relative to without: {told}"]
        return "\n".join([*lines, "", "energy of a step", "", side_by_side(self.counts)])

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        layers = [
            {
                "model": layer.model, "neurons": layer.neurons, "variables": list(layer.variables),
                "rate": layer.rate, "silent": layer.silent,
                "spectral_radius": dict(zip(("p5", "p50", "p95"), layer.radius, strict=True)),
                "spectral_radius_with_weights": layer.whole_radius,
                "retention": {str(h): value for h, value in layer.retention.items()},
                "lost": {str(h): value for h, value in layer.lost.items()},
                "relative": layer.relative and {str(h): v for h, v in layer.relative.items()},
            }
            for layer in self.layers
        ]  # fmt: skip
        counts = {name: count.to_json() for name, count in self.counts.items()}
        return {"meta": dict(self.meta), "layers": layers, "energy": counts}


def analyse(
    network: Network, x: Any = None, *, horizons: Sequence[int] | None = None,
    surrogate: str = "triangle", width: float | None = None, detach_reset: bool = False,
) -> Analysis:  # fmt: skip
    """Analyse a network for a given input.

    Parameters
    ----------
    network
        Weights and model texts.
    x
        Shape (B, T, n_in) or (T, n_in); `standard_input` by default.
    horizons
        Numbers of steps for the retention; by default powers of 4 and the whole run.
    surrogate, width, detach_reset
        Surrogate gradient of the spikes, as in the training of the network.

    Returns
    -------
    Analysis

    Raises
    ------
    DendrosimError
        If the input does not match or has fewer than two steps, or a horizon or the surrogate is
        invalid.
    """
    given = x is not None
    x = as_input(network, x if given else standard_input(network.n_in))
    steps = x.shape[1]
    if steps < 2:
        raise DendrosimError("an input of one step is too short; two or more are needed")
    horizons = _horizons(steps - 1) if horizons is None else list(horizons)
    slope = {"surrogate": surrogate, "width": width, "detach_reset": detach_reset}
    runs, output = follow(network, x)
    layers = tuple(
        _layer(run, spikes, horizons, slope)
        for run, spikes in zip(runs, output.spikes, strict=True)
    )
    counts = energy.counts(network, output, x)
    source = "as given" if given else f"random spikes at {RATE:g} a step, seed 0"
    meta = {
        "samples": len(x), "steps": steps, "input": source,
        "surrogate": f"{surrogate}{'' if width is None else f', width {width:g}'}",
    }  # fmt: skip
    return Analysis(layers, counts, meta)


def standard_input(n_in: int) -> Array:
    """Return random spikes of shape (SAMPLES, STEPS, n_in), seed 0."""
    return (np.random.default_rng(0).random((SAMPLES, STEPS, n_in)) < RATE).astype(float)


def _layer(
    run: LayerRun, spikes: Array, horizons: Sequence[int], slope: Mapping[str, Any]
) -> LayerAnalysis:
    matrices = run.matrices(**slope)
    factors = retention_factors(matrices, horizons)
    loop = run.loop(**slope)
    relative = None
    if loop is not None:
        kept = relative_retention(*loop, horizons)
        relative = dict(zip(horizons, map(float, kept), strict=True))
    low, middle, high = np.percentile(spectral_radius(matrices), (5, 50, 95))
    return LayerAnalysis(
        model=run.layer.model.name, neurons=run.layer.n, variables=run.variables,
        rate=float(spikes.mean()), silent=float(1 - spikes.any((0, 1)).mean()),
        radius=(float(low), float(middle), float(high)), whole_radius=_whole_radius(run, slope),
        retention={h: float(np.median(factors[h])) for h in horizons},
        lost={h: float((factors[h] == 0).mean()) for h in horizons}, relative=relative,
    )  # fmt: skip


def _whole_radius(run: LayerRun, slope: Mapping[str, Any]) -> float:
    """Return the median spectral radius of the layer with its recurrent weights, at a few steps."""
    size = run.layer.n * len(run.variables)
    if not run.layer.recurrent_weights or size > LARGEST:
        return float("nan")
    samples, steps = next(iter(run.states.values())).shape[:2]
    moments = np.unique(np.linspace(0, steps - 2, min(MOMENTS, steps - 1)).round().astype(int))
    return float(
        np.median([spectral_radius(run.recurrent(k % samples, int(t), **slope))
                   for k, t in enumerate(moments)])
    )  # fmt: skip


def _horizons(most: int) -> list[int]:
    powers = [4**k for k in range(20) if 2 * 4**k <= most]
    return [*powers, most]
