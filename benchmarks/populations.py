"""2,000 neurons of each biophysical model: dendrosim, a hand-written C++ loop, stock Brian2.

    python benchmarks/populations.py [--full]

One thread, no traces.  Every program runs in turn, several rounds; the table has medians of the
processor's seconds for the loop, and ratios to the hand-written one.  Spikes are compared with RK4
at dt 0.005 ms.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import (
    DT,
    DURATION,
    HERE,
    MODELS,
    NEURONS,
    interleaved,
    missed,
    one_core,
    population,
    processor_seconds,
    save,
    table,
)  # fmt: skip

FLAGS = ("-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512")
OURS = tuple((method, dtype) for method in ("rush_larsen", "rush_larsen2", "rk4")
             for dtype in ("float64", "float32"))  # fmt: skip
STOCK = ("exponential_euler", "exponential_euler best form", "euler", "rk2", "rk4")
RATES = ("alpha_", "beta_", "tau_", "chi")
Spikes = tuple[np.ndarray, np.ndarray]


class Run:
    """Something that can be run again: seconds, and what it left behind."""

    def __init__(self, once: Callable[[], tuple[float, Spikes, int]]) -> None:
        self.once = once
        self.spikes: Spikes = (np.zeros(0), np.zeros(0))
        self.bad = 0
        self.failed = ""

    def __call__(self) -> float:
        seconds, self.spikes, self.bad = self.once()
        return seconds


def hand_loop(model: str, dtype: str, folder: Path, n: int, duration: float, dt: float) -> Run:
    """Return the hand-written loop, compiled; see hand_loop/."""
    source = HERE / "hand_loop" / f"{model}.cpp"
    flags = [f for f in FLAGS if "512" not in f or "avx512f" in Path("/proc/cpuinfo").read_text()]
    program = folder / f"hand_{model}"
    if not program.exists():
        compiler = os.environ.get("CXX") or "g++"
        subprocess.run([compiler, *flags, "-o", program, source], check=True)

    def once() -> tuple[float, Spikes, int]:
        out = folder / f"hand_{model}.spikes"
        words = [program, dtype, n, round(duration / dt), dt, "d", 0, 2, out]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True)
        seconds, _, bad = done.stdout.split()
        i, step = np.fromfile(out, dtype=np.int32).reshape(-1, 2).T
        return float(seconds), (i, step * dt), int(bad)

    return Run(once)


def ours(model: str, method: str, n: int, duration: float, dt: float, **options) -> Run:
    """Return dendrosim on C++."""
    import dendrosim as ds

    neuron, protocol = ds.load_model(MODELS[model]), population(n, duration)

    def once() -> tuple[float, Spikes, int]:
        r = ds.simulate(neuron, protocol, method=method, dt=f"{dt} ms", record=[], progress=False,
                        **options)  # fmt: skip
        return r.meta["processor_seconds"], (r.spike_i, r.spike_t * 1e3), 0

    return Run(once)


def stock(model: str, method: str, folder: Path, n: int, duration: float, dt: float) -> Run:
    """Return plain Brian2, C++ standalone with its own flags, on the same text.

    Its best form marks every rate ``(constant over dt)``, which keeps sympy from expanding it.
    """
    import brian2 as b2
    from brian2.devices.device import get_device, reset_device, set_device

    import dendrosim as ds

    b2.BrianLogger.suppress_name("resolution_conflict")  # the state n and this function's n
    neuron = ds.load_model(MODELS[model])
    lines = [e.text for e in neuron.equations if e.kind != "input"]
    if method.endswith("best form"):
        names = [line.split("=")[0].strip() for line in lines]
        rate = [name.startswith(RATES) or name.endswith("_inf") for name in names]
        lines = [f"{line} (constant over dt)" if r else line
                 for line, r in zip(lines, rate, strict=True)]  # fmt: skip
    soma, dendrite = neuron.inputs["soma"], neuron.inputs["dendrite"]
    lines += [f"{dendrite} : amp/meter**2 (constant)", f"{soma} = 0*amp/meter**2 : amp/meter**2"]
    where = folder / f"stock_{model}_{method.replace(' ', '_')}"
    set_device("cpp_standalone", build_on_run=False)
    device = get_device()
    device.reinit()
    device.activate(build_on_run=False)
    try:
        group = b2.NeuronGroup(
            n, "\n".join(lines), threshold=neuron.threshold.text, dt=dt * b2.ms,
            refractory=neuron.refractory.text, method=method.split()[0],
            namespace={"mS": b2.mS, **neuron.values()},
        )  # fmt: skip
        for name, value in neuron.initial.items():
            setattr(group, name, value)
        setattr(group, dendrite, np.linspace(0, 2, n) * b2.uA / b2.cm**2)
        spikes = b2.SpikeMonitor(group)
        b2.Network(group, spikes).run(duration * b2.ms)
        device.build(directory=str(where), compile=True, run=False)
        files = {
            name: Path(device.get_array_filename(spikes.variables[name])).name for name in "it"
        }
        state = Path(device.get_array_filename(group.variables["v_s"])).name
    finally:
        device.reinit()
        reset_device("runtime")

    def once() -> tuple[float, Spikes, int]:
        before = processor_seconds()
        subprocess.run(["./main"], cwd=where, check=True, capture_output=True)
        seconds = processor_seconds() - before
        i = np.fromfile(where / "results" / files["i"], dtype=np.int32)
        t = np.fromfile(where / "results" / files["t"]) * 1e3 + dt
        states = np.fromfile(where / "results" / state)
        return seconds, (i, t), int(np.isnan(states).sum())

    return Run(once)


def measure(
    model: str, folder: Path, *, repeat: int, mine: tuple[tuple[str, str], ...] = OURS,
    stocks: tuple[str, ...] = STOCK, n: int = NEURONS, duration: float = DURATION, dt: float = DT,
    reference: bool = True,
) -> list[dict]:  # fmt: skip
    """Return one row a program; spikes are compared with a `reference` if it is wanted."""
    size = (n, duration, dt)
    runs: dict[str, Run] = {
        f"hand loop, {dtype}": hand_loop(model, dtype, folder, *size)
        for dtype in ("float64", "float32")
    }
    for method, dtype in mine:
        runs[f"dendrosim {method}, {dtype}"] = ours(model, method, *size, dtype=dtype)
    for method in stocks:
        runs[f"Brian2 {method}"] = stock(model, method, folder, *size)
    exact = ours(model, "rk4", n, duration, 0.005)
    if reference:
        exact()
    dropped = {}
    for name, run in list(runs.items()):
        try:
            run()  # compiles
        except Exception as error:  # a program that cannot run is a row of the table, too
            dropped[name] = str(error)
            del runs[name]
    with one_core():
        seconds = interleaved(runs, repeat, settle=False)
    steps = n * round(duration / dt)
    rows = [
        {
            "program": name, "ns_per_neuron_step": seconds[name] / steps * 1e9,
            "least_ns": seconds.least[name] / steps * 1e9,
            "ratio_to_hand_loop": seconds[name] / seconds["hand loop, float64"],
            "ratio_of_least": seconds.least[name] / seconds.least["hand loop, float64"],
            "spikes": len(run.spikes[0]),
            "missed": missed(exact.spikes, run.spikes) if reference else None,
            "nan_neurons": run.bad,
        }
        for name, run in runs.items()
    ]  # fmt: skip
    rows += [{"program": name, "failed": why} for name, why in dropped.items()]
    if reference:
        rows.append({"program": "reference: rk4, dt 0.005 ms", "spikes": len(exact.spikes[0])})
    return rows


HEADER = ("program", "ns/step", "x hand", "least ns", "x hand", "spikes", "missed %", "NaN neurons")


def text(rows: list[dict]) -> str:
    """Return the table of one model."""
    cells = []
    for row in rows:
        lost = row.get("missed")
        cells.append([
            row["program"], row.get("ns_per_neuron_step"), row.get("ratio_to_hand_loop"),
            row.get("least_ns"), row.get("ratio_of_least"),
            row.get("spikes"), None if lost is None else f"{100 * lost:.2f}",
            row.get("nan_neurons", row.get("failed", "")[:40] or None),
        ])  # fmt: skip
    return table(HEADER, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="five rounds instead of three")
    full = parser.parse_args().full
    result: dict = {"neurons": NEURONS, "duration_ms": DURATION, "dt_ms": DT, "flags": FLAGS}
    with tempfile.TemporaryDirectory() as folder:
        for model in MODELS:
            result[model] = measure(model, Path(folder), repeat=5 if full else 3)
            print(f"\n{model}, {NEURONS} neurons, {DURATION:g} ms, dt {DT} ms, one thread")
            print(text(result[model]), flush=True)
            save("populations", result)


if __name__ == "__main__":
    main()
