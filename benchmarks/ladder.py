"""The ladder of both biophysical neurons, and the fits of the adaptive neurons on the shelf.

    python benchmarks/ladder.py                                  # tables and figures
    python benchmarks/ladder.py --fit kepecs_wang_2000           # writes models/..._adaptive.toml
    python benchmarks/ladder.py --fit pinsky_rinzel_1994 --places soma --seconds 20

The noise is that of the literature on such reductions: Ornstein-Uhlenbeck, 10 ms, at four means
around the rheobase, into the dendrite and into the soma.  Rungs are fitted to seed 1 and judged on
seeds 7 and 8, and on other protocols.  Each seed of a search takes two to four minutes.  No values
were found with which the adaptive neuron follows Pinsky-Rinzel from both places.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from common import HERE, RESULTS, save

import dendrosim as ds
from dendrosim.reduction import ladder
from dendrosim.reduction.saved import save_model

#: Means and standard deviation of the noise into each place (uA/cm^2); the first is the one that
#: the neuron is judged on.
NEURONS = {
    "kepecs_wang_2000": {
        "dendrite": ([0.35, 0.6, 0.85, 1.1], 0.8), "soma": ([1.5, 2.5, 3.5, 4.5], 2.0)
    },
    "pinsky_rinzel_1994": {
        "soma": ([-0.2, 0.13, 0.46, 0.8], 1.0), "dendrite": ([-0.2, 0.2, 0.6, 1.0], 1.0)
    },
}  # fmt: skip
STEP = "0.5 ms"


def noise(name: str, place: str, seed: int, duration: str) -> ds.Protocol:
    """Return the noise of a neuron into one place."""
    means, sigma = NEURONS[name][place]
    listed = ", ".join(map(str, means))
    stimulus = ds.Stimulus(
        place, "ou", mean=f"[{listed}] uA/cm**2", sigma=f"{sigma} uA/cm**2", tau="10 ms",
        sample="0.1 ms", seed=seed,
    )  # fmt: skip
    return ds.Protocol(duration, [stimulus], name=f"noise_{place}_{seed}")


def noises(
    name: str, seeds: Sequence[int], duration: str, places: Sequence[str] = ()
) -> list[ds.Protocol]:
    """Return the noise into each place, with each seed."""
    chosen = sorted(places or NEURONS[name])
    return [noise(name, place, seed, duration) for place in chosen for seed in seeds]


def fit(name: str, places: str, seeds: str, seconds: int, generations: int) -> None:
    """Fit the adaptive neuron, print its report and write its model file."""
    began = time.process_time()
    found = ds.reduce(
        name, STEP, to="adaptive", seed=[int(seed) for seed in seeds.split(",")],
        fit=noises(name, [1], f"{seconds} s", places.split(",") if places else ()),
        unseen=[*noises(name, (7, 8), "10 s"), "fi_curve", "dendritic_step"],
        generations=generations,
    )  # fmt: skip
    print(found.report.to_string(), found.searches.to_string(), *found.notes, sep="\n")
    print(f"{time.process_time() - began:.0f} s of processor time")
    chosen = f" --places {places}" if places else ""
    how = f"python benchmarks/ladder.py --fit {name}{chosen} --seeds {seeds} --seconds {seconds}"
    save_model(
        found.model, HERE.parent / "models" / f"{name}_adaptive.toml",
        f"Adaptive two-compartment neuron that follows {name}",
        f"{how} --generations {generations}",
    )  # fmt: skip


def climb(name: str) -> dict:
    """Return the ladder of a neuron with the fitted neuron of the shelf."""
    found = ladder(
        name, STEP, fit=noises(name, [1], "10 s"), unseen=noises(name, (7, 8), "10 s"),
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
    parser.add_argument("--places", help="where the noise of the fit goes in; both by default")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--generations", type=int, default=100)
    options = parser.parse_args()
    if options.fit:
        fit(options.fit, options.places, options.seeds, options.seconds, options.generations)
    else:
        save("ladder", {name: climb(name) for name in NEURONS})


if __name__ == "__main__":
    main()
