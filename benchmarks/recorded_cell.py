"""Kepecs-Wang fitted to a recorded cell, and what it gets right on sweeps that were not fitted.

    python benchmarks/recorded_cell.py [--generations 60] [--seeds 0,1]

The cell is 171116sh_0018.abf of pyABF (MIT), beside the checkout in ../shared/data/ephys: a regular
spiking cell with steps from -100 to 300 pA.  Seven sweeps are fitted, nine judge.
"""

from __future__ import annotations

import argparse
import time
import warnings

from common import HERE, RESULTS, save

import dendrosim as ds
from dendrosim.errors import DendrosimWarning

CELL = HERE.parents[1] / "shared" / "data" / "ephys" / "171116sh_0018.abf"
FITTED, UNSEEN = [0, 2, 6, 8, 10, 12, 14], [1, 3, 5, 7, 9, 11, 13, 15, 16]
PASSIVE = ["g_L", "E_L", "area", "g_NaP"]
FREE = {
    "g_Na": "15..250 mS/cm**2", "g_K": "5..80 mS/cm**2", "g_NaP": "0.002..0.3 mS/cm**2",
    "g_KS": "0.02..3 mS/cm**2", "g_c": "0.05..3 mS/cm**2", "g_L": "0.01..0.2 mS/cm**2",
    "E_L": "-75..-50 mV", "area": "1e-4..5e-4 cm**2",
}  # fmt: skip


def fitted(generations: int, seeds: list[int]) -> ds.Fit:
    """Return the fit."""
    played = ds.load_protocol("recorded").with_(file=str(CELL), duration="0.7 s")
    return ds.fit(
        "kepecs_wang_2000", str(CELL), FREE, protocol=played.with_(sweeps=FITTED),
        unseen=played.with_(sweeps=UNSEEN), unseen_data=str(CELL), passive=PASSIVE,
        series_resistance="estimate", generations=generations, seed=seeds, refine=False,
    )  # fmt: skip


def main() -> None:
    """Fit, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=60)
    parser.add_argument("--seeds", default="0,1")
    options = parser.parse_args()
    warnings.simplefilter("ignore", DendrosimWarning)  # the epochs of the file
    began = time.perf_counter()
    fit = fitted(options.generations, [int(seed) for seed in options.seeds.split(",")])
    print(fit.text())
    fit.plot(RESULTS / "recorded_cell.png")
    spikes = {
        role: [(len(a.inside), len(b.inside)) for a, b in zip(target.responses, own, strict=True)]
        for role, target, own in fit._shown
        if own is not None
    }
    print({role: " ".join(f"{a}/{b}" for a, b in pairs) for role, pairs in spikes.items()})
    save("recorded_cell", {"seconds": time.perf_counter() - began, "spikes": spikes,
                           "fit": fit.to_json()})  # fmt: skip


if __name__ == "__main__":
    main()
