"""Error against time: every method at four time steps, both biophysical models.

    python benchmarks/accuracy.py [--full]

Errors are taken against LSODA (tests/reference, rtol 1e-10): of the burst period, and of the
spike times in the first 500 ms.  Time is that of one thread per simulated second of a neuron.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from common import HERE, MODELS, RESULTS, interleaved, missed, one_core, population, save, table

sys.path.insert(0, str(HERE.parent))
METHODS = ("rush_larsen", "rush_larsen2", "rk4", "rk2", "euler")
STEPS = (0.1, 0.05, 0.02, 0.01)  # ms
NEURONS = 2000
WINDOW, LONG = 500.0, 3000.0  # ms


def truth(model: str, amplitudes: np.ndarray, duration: float) -> list[np.ndarray]:
    """Return LSODA's spike times in ms, one array an amplitude."""
    from tests.reference import kepecs_wang, pinsky_rinzel

    oracle = {"kepecs_wang": kepecs_wang, "pinsky_rinzel": pinsky_rinzel}[model]
    return [
        oracle.lsoda(oracle.INITIAL, 0.0, float(a), duration=duration, rtol=1e-10, atol=1e-10)
        .spike_times for a in amplitudes
    ]  # fmt: skip


def period(train: np.ndarray, gap: float = 10.0, after: float = 500.0) -> float:
    """Return the mean interval between the first spikes of bursts, in ms."""
    onset = train[np.diff(train, prepend=-np.inf) >= gap]
    onset = onset[onset >= after]
    return float(np.diff(onset).mean()) if len(onset) > 1 else float("nan")


def run(model: str, method: str, dt: float, n: int, duration: float):
    """Return the recording of n neurons."""
    import dendrosim as ds

    return ds.simulate(ds.load_model(MODELS[model]), population(n, duration), method=method,
                       dt=f"{dt} ms", record=[], progress=False)  # fmt: skip


def measure(model: str, amplitudes: int, repeat: int) -> list[dict]:
    """Return one row a method and step."""
    drives = np.linspace(0, 2, amplitudes)
    exact = truth(model, drives, LONG)
    periods = np.array([period(train) for train in exact])
    first = _flat([train[train < WINDOW - 2] for train in exact])
    rows, runs = [], {}
    for method in METHODS:
        for dt in STEPS:
            try:
                recording = run(model, method, dt, amplitudes, LONG)
            except Exception as error:
                rows.append({"method": method, "dt_ms": dt, "failed": str(error)})
                continue
            trains = [train * 1e3 for train in recording.trains]
            found = np.array([period(train) for train in trains])
            both = np.isfinite(periods) & np.isfinite(found)
            rows.append({
                "method": method, "dt_ms": dt,
                "period_error": float(np.median(np.abs(found / periods - 1)[both])),
                "spike_error_ms": _lateness(exact, trains),
                "missed": missed(first, _flat(trains)),
            })  # fmt: skip
            runs[f"{method} {dt}"] = lambda m=method, d=dt: run(model, m, d, NEURONS, 50.0).meta[
                "processor_seconds"
            ]
    for each in runs.values():
        each()
    with one_core():
        seconds = interleaved(runs, repeat, settle=False)
    for row in rows:
        taken = seconds.get(f"{row['method']} {row['dt_ms']}")
        if taken is not None:
            row["ns_per_neuron_step"] = taken / (NEURONS * 50.0 / row["dt_ms"]) * 1e9
            row["ms_per_neuron_second"] = taken / (NEURONS * 0.05) * 1e3
    return rows


def _flat(trains: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    neurons = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    return neurons, np.concatenate(trains)


def _lateness(exact: list[np.ndarray], trains: list[np.ndarray]) -> float:
    """Return the median distance of the spikes of the first window, paired in order, in ms."""
    distances = []
    for a, b in zip(exact, trains, strict=True):
        k = min(int((a < WINDOW).sum()), len(b))
        distances.append(np.abs(a[:k] - b[:k]))
    return float(np.median(np.concatenate(distances)))


def lower_edge(rows: list[dict], key: str = "period_error") -> list[str]:
    """Return which rows no other beats in both time and error, the fastest first."""
    good = [row for row in rows if "ms_per_neuron_second" in row]
    edge = [
        row for row in good
        if not any(o[key] <= row[key] and o["ms_per_neuron_second"] < row["ms_per_neuron_second"]
                   for o in good)
    ]  # fmt: skip
    edge.sort(key=lambda row: row["ms_per_neuron_second"])
    return [f"{row['method']} at {row['dt_ms']} ms" for row in edge]


def figure(result: dict) -> None:
    """Draw errors over time, log-log; colours of Okabe and Ito, a marker a method."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    looks = dict(zip(METHODS, [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"),
                               ("#CC79A7", "D"), ("#000000", "v")], strict=True))  # fmt: skip
    kinds = {"period_error": "error of burst period", "missed": "spikes missed (> 1 ms off)"}
    fig, axes = plt.subplots(2, 2, figsize=(9, 7), sharex="col", constrained_layout=True)
    for column, model in zip(axes.T, MODELS, strict=True):
        for ax, (key, label) in zip(column, kinds.items(), strict=True):
            for method, (colour, marker) in looks.items():
                rows = [r for r in result[model]
                        if r["method"] == method and "ms_per_neuron_second" in r]  # fmt: skip
                x = [row["ms_per_neuron_second"] for row in rows]
                y = [max(row[key], 1e-4 if key == "missed" else 1e-7) for row in rows]
                ax.loglog(x, y, color=colour, marker=marker, label=method)
                for at, height, row in zip(x, y, rows, strict=True):
                    ax.annotate(f"{row['dt_ms']:g}", (at, height), xytext=(4, 3), fontsize=7,
                                textcoords="offset points", color=colour)  # fmt: skip
            ax.set_ylabel(label)
            ax.xaxis.set_minor_formatter("")
            ax.grid(True, which="major", alpha=0.3)
        column[0].set_title(model.replace("_", "-").title())
        column[-1].set_xlabel("ms of computing per neuron and simulated second")
    axes[0, 0].legend(title="number: dt in ms", frameon=False)
    fig.savefig(RESULTS / "accuracy.png", dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="41 amplitudes, nine rounds")
    full = parser.parse_args().full
    result: dict = {"window_ms": WINDOW, "long_ms": LONG}
    for model in MODELS:
        rows = measure(model, 41 if full else 17, 9 if full else 3)
        result[model] = rows
        result[f"{model}_lower_edge"] = edges = {
            key: lower_edge(rows, key) for key in ("period_error", "missed")
        }
        header = ("method", "dt ms", "ns/step", "ms/neuron s", "period error", "missed %")
        cells = [[r["method"], r["dt_ms"], r.get("ns_per_neuron_step"),
                  r.get("ms_per_neuron_second"), r.get("period_error"),
                  100 * r["missed"] if "missed" in r else r["failed"][:30]]
                 for r in rows]  # fmt: skip
        print(f"\n{model}\n{table(header, cells)}\nlower edge: {edges}", flush=True)
        save("accuracy", result)
    figure(result)


if __name__ == "__main__":
    main()
