"""The ladder of both biophysical neurons, and the fits of the adaptive neurons on the shelf.

    python benchmarks/ladder.py                                  # tables and figures
    python benchmarks/ladder.py --fit kepecs_wang_2000 --seed 0  # writes models/..._adaptive.toml

The noise is that of the literature on such reductions: Ornstein-Uhlenbeck, 10 ms, at four means
around the rheobase.  Rungs are fitted to seed 1 and judged on seeds 7 and 8, and on other
protocols.  A fit takes one to three minutes of processor time.
"""

from __future__ import annotations

import argparse
import time

from common import HERE, RESULTS, save

import dendrosim as ds
from dendrosim.reduction import ladder
from dendrosim.reduction.saved import save_model

#: Place, means and standard deviation of the noise (uA/cm^2); seconds that the fit sees.
NEURONS = {
    "kepecs_wang_2000": ("dendrite", [0.35, 0.6, 0.85, 1.1], 0.8),
    "pinsky_rinzel_1994": ("soma", [-0.2, 0.13, 0.46, 0.8], 1.0),
}
STEP = "0.5 ms"


def noise(name: str, seed: int, duration: str) -> ds.Protocol:
    """Return the noise of a neuron."""
    place, means, sigma = NEURONS[name]
    listed = ", ".join(map(str, means))
    stimulus = ds.Stimulus(
        place, "ou", mean=f"[{listed}] uA/cm**2", sigma=f"{sigma} uA/cm**2", tau="10 ms",
        sample="0.1 ms", seed=seed,
    )  # fmt: skip
    return ds.Protocol(duration, [stimulus], name=f"noise_{seed}")


def fit(name: str, seed: int, seconds: int, generations: int) -> None:
    """Fit the adaptive neuron, print its report and write its model file."""
    began = time.process_time()
    found = ds.reduce(
        name, STEP, to="adaptive", fit=[noise(name, 1, f"{seconds} s")],
        unseen=[noise(name, k, "10 s") for k in (7, 8)], seed=seed, generations=generations,
    )  # fmt: skip
    print(found.report.to_string(), *found.notes, sep="\n")
    print(f"{time.process_time() - began:.0f} s of processor time")
    how = f"python benchmarks/ladder.py --fit {name} --seed {seed} --seconds {seconds}"
    save_model(
        found.model, HERE.parent / "models" / f"{name}_adaptive.toml",
        f"Adaptive two-compartment neuron that follows {name}",
        f"{how} --generations {generations}",
    )  # fmt: skip


def climb(name: str) -> dict:
    """Return the ladder of a neuron with the fitted neuron of the shelf."""
    found = ladder(
        name, STEP, fit=noise(name, 1, "10 s"), unseen=[noise(name, k, "10 s") for k in (7, 8)],
        reductions={"adaptive": f"{name}_adaptive"},
    )  # fmt: skip
    print(found.text(), end="\n\n")
    found.plot(RESULTS / f"ladder_{name}.png")
    return {"rungs": found.rungs.reset_index().to_dict("records"),
            "table": found.table.to_dict("records"), "notes": list(found.notes)}  # fmt: skip


def main() -> None:
    """Fit, or climb, and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", choices=NEURONS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--generations", type=int, default=100)
    options = parser.parse_args()
    if options.fit:
        fit(options.fit, options.seed, options.seconds, options.generations)
    else:
        save("ladder", {name: climb(name) for name in NEURONS})


if __name__ == "__main__":
    main()
