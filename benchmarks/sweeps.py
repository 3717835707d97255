"""What packing, storing and sharing a sweep cost, and how fast a fit is.

    python benchmarks/sweeps.py [--full] [--modelfitting /tmp/modelfitting/bin/python]

Kepecs-Wang, four conductances of a Sobol sequence, one neuron each, rk4 at 0.02 ms.  Beside the
sweep: one `simulate` call with as many neurons, and a loop of `simulate` calls.  Small: 1,024
points of 200 ms; --full: 4,096 points of 1 s.  Beside the fit: brian2modelfitting, by the Python of
an environment that has it, and a loop of `simulate` calls with the same features.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from brian2 import Quantity
from common import interleaved, processor_seconds, save, table
from peers import PROGRAMS, installed

import dendrosim as ds
from dendrosim.fitting.features import Response, read_features, vector

MODEL = "kepecs_wang_2000"
RANGES = {"g_c": (0.25, 4.0), "g_NaP": (0.05, 0.5), "g_KS": (0.2, 2.5), "g_Na": (15.0, 150.0)}
AXES = {name: f"loguniform({low}, {high}) mS/cm**2" for name, (low, high) in RANGES.items()}
FREE = {name: f"{low}..{high} mS/cm**2" for name, (low, high) in RANGES.items()}
START = {"g_c": "1.7 mS/cm**2", "g_NaP": "0.2 mS/cm**2", "g_KS": "1.2 mS/cm**2",
         "g_Na": "40 mS/cm**2"}  # fmt: skip


def protocol(duration: float) -> ds.Protocol:
    """Return a step into the dendrite."""
    step = ds.Stimulus("dendrite", "constant", amplitude="1 uA/cm**2")
    return ds.Protocol(f"{duration} ms", [step])


def swept(points: int, duration: float, engine: object) -> ds.Sweep:
    """Run the sweep with a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return ds.sweep(MODEL, protocol(duration), AXES, design="sobol", n=points, chunk=1024,
                        engine=engine, out=Path(folder) / "s.zarr", progress=False)  # fmt: skip


def simulated(points: int, duration: float) -> None:
    """Run as many neurons by one call."""
    model = ds.load_model(MODEL)
    rng = np.random.default_rng(0)
    values = {
        name: Quantity(10 * rng.uniform(*span, points), dim=model.parameters[name].value.dim)
        for name, span in RANGES.items()
    }
    model = model.with_(parameters=values)
    ds.simulate(model, protocol(duration), grids="zip", record=[], progress=False,
                diverged="nan")  # fmt: skip


def one_by_one(points: int, duration: float) -> None:
    """Run one call for each point."""
    model = ds.load_model(MODEL)
    rng = np.random.default_rng(0)
    for _ in range(points):
        own = {name: f"{rng.uniform(*span)!r} mS/cm**2" for name, span in RANGES.items()}
        ds.simulate(model.with_(parameters=own), protocol(duration), record=[], progress=False,
                    diverged="nan")  # fmt: skip


def processor(run: object, *arguments: object) -> float:
    """Return the processor seconds of a call, of this process and of those that it started."""
    before = processor_seconds(here=True)
    run(*arguments)
    return processor_seconds(here=True) - before


def wall(run: object, *arguments: object) -> float:
    """Return the seconds of a call."""
    began = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - began


STEP = ds.Protocol(
    "500 ms",
    [ds.Stimulus("dendrite", "step", amplitude="1 uA/cm**2", start="50 ms", stop="450 ms")],
)
POPULATION, GENERATIONS = 64, 20


def fits() -> dict:
    """Return evaluations per processor second of a fit of four conductances, and its errors."""
    truth = ds.load_model(MODEL)
    start = truth.with_(parameters=START)
    arguments = {"protocol": STEP, "population": POPULATION, "progress": False}
    ds.fit(start, truth, FREE, generations=1, refine=False, **arguments)  # compile
    found = {}
    for name, refine in (("search", False), ("search and least squares", True)):
        before = processor_seconds(here=True)
        fit = ds.fit(start, truth, FREE, generations=GENERATIONS, refine=refine, **arguments)
        used = processor_seconds(here=True) - before
        evaluations = int(fit.history["evaluations"].iloc[-1])
        errors = {
            name: fit.values["value"][name] * 10 / float(truth.parameters[name].value) - 1
            for name in FREE
        }
        found[name] = {"evaluations": evaluations, "processor_seconds": used,
                       "per_processor_second": evaluations / used,
                       "relative_errors": errors}  # fmt: skip
    return found


def by_hand(points: int = 32) -> dict:
    """Return the speed of a loop over candidates that calls `simulate` and reads features."""
    truth = ds.load_model(MODEL)
    rng = np.random.default_rng(0)
    features = read_features(None)

    def one(model: ds.Model) -> np.ndarray:
        run = ds.simulate(model, STEP, record_dt="0.1 ms", progress=False, diverged="nan")
        v = run.traces["v_s"].values[:, 0]
        return vector(Response(run.trains[0], run.times, v, 0.0, 0.5, 0.05), features)

    one(truth)  # compile
    before = processor_seconds(here=True)
    for _ in range(points):
        one(truth.with_(parameters={
            name: f"{rng.uniform(*span)!r} mS/cm**2" for name, span in RANGES.items()
        }))  # fmt: skip
    used = processor_seconds(here=True) - before
    return {"evaluations": points, "processor_seconds": used,
            "per_processor_second": points / used}  # fmt: skip


def modelfitting(python: str) -> dict:
    """Return the speed of brian2modelfitting on the same problem, by device; {} without it."""
    if not installed(python, "brian2modelfitting"):
        return {}
    model = ds.load_model(MODEL)
    run = ds.simulate(model, STEP, record_dt="0.02 ms", progress=False)
    steps = int(0.5 / 2e-5)
    t = np.arange(steps) * 2e-5
    lines = [e.text for e in model.equations if e.name not in ("I_s", "I_d")]
    lines += ["I_s = 0*amp/meter**2 : amp/meter**2"]
    lines += [f"{name} : siemens/meter**2 (constant)" for name in RANGES]
    values = {name: p.value for name, p in model.parameters.items()} | dict(model.initial)
    found = {}
    for device in ("cpp_standalone", "runtime"):
        with tempfile.TemporaryDirectory() as folder:
            problem = {
                "equations": "\n".join(lines), "folder": f"{folder}/code",
                "parameters": {name: float(p.value) for name, p in model.parameters.items()
                               if name not in RANGES},
                "initial": {name: float(value) for name, value in model.initial.items()},
                "dimensions": {name: [float(d) for d in value.dim._dims]
                               for name, value in values.items()},
                "current": (0.01 * ((t >= 0.05) & (t < 0.45))).tolist(),
                "target": run.traces["v_s"].values[:steps, 0].tolist(),
                "threshold": model.threshold.text, "dt": 2e-5, "population": POPULATION,
                "rounds": 4, "ranges": {n: [10 * a, 10 * b] for n, (a, b) in RANGES.items()},
            }  # fmt: skip
            given, out = Path(folder) / "problem.json", Path(folder) / "out.json"
            given.write_text(json.dumps(problem))
            program = PROGRAMS / "modelfitting_kw.py"
            command = [python, "-W", "ignore", str(program), str(given), str(out), device]
            subprocess.run(command, check=True, capture_output=True, cwd=folder)
            found[device] = json.loads(out.read_text())
    return found


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--modelfitting", default="/tmp/modelfitting/bin/python")
    options = parser.parse_args()
    full = options.full
    points, duration = (4096, 1000.0) if full else (1024, 200.0)
    steps = points * duration / 0.02
    few = 16
    used = interleaved(
        {
            "sweep, one process": lambda: processor(swept, points, duration, 1),
            "one call with N neurons": lambda: processor(simulated, points, duration),
            f"one call for each point ({few} points)": lambda: processor(one_by_one, few, duration),
        },
        repeat=3,
    )
    share = {name: steps if "points)" not in name else few * duration / 0.02 for name in used.least}
    per_step = {name: used.least[name] / share[name] * 1e9 for name in used.least}
    clock = {
        "one process": min(wall(swept, points, duration, 1) for _ in range(2)),
        "joblib, two processes": min(wall(swept, points, duration, 2) for _ in range(2)),
    }
    try:
        from distributed import Client
    except ImportError:
        pass
    else:
        with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
            swept(2048, 10.0, client)  # a chunk for each worker, which imports what it needs
            clock["dask, two workers"] = min(
                wall(swept, points, duration, client) for _ in range(2)
            )
    result = {
        "points": points, "duration_ms": duration, "ns_per_neuron_and_step": per_step,
        "sweep_over_one_call": per_step["sweep, one process"] / per_step["one call with N neurons"],
        "seconds": clock,
        "times_one_process": {name: clock["one process"] / t for name, t in clock.items()},
        "fit": fits(), "fit by a loop of simulate": by_hand(),
        "fit by brian2modelfitting": modelfitting(options.modelfitting),
    }  # fmt: skip
    print(table(["", "ns per neuron and step"], [[k, v] for k, v in per_step.items()]))
    print(table(["", "seconds", "times one process"],
                [[k, v, clock["one process"] / v] for k, v in clock.items()]))  # fmt: skip
    fitted = {**result["fit"], "loop of simulate": result["fit by a loop of simulate"]}
    for device, run in result["fit by brian2modelfitting"].items():
        fitted[f"brian2modelfitting, {device}"] = run
    print(table(["fit", "evaluations per processor second"],
                [[name, run["per_processor_second"]] for name, run in fitted.items()]))  # fmt: skip
    save("sweeps", result)


if __name__ == "__main__":
    main()
