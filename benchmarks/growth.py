"""Compile time, cache hits, and how run time grows with neurons, time, traces and threads.

    python benchmarks/growth.py [--full]

Kepecs-Wang, rush_larsen, dt 0.05 ms.  Small: up to 10^5 neurons; --full: 10^6.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import numpy as np
from common import DT, interleaved, one_core, population, save, table

MODEL = "kepecs_wang_2000"
MOST = 20_000_000  # recorded values, of 8 bytes


def simulate(n: int, duration: float, record: int = 0, threads: int = 1):
    """Run n neurons; record the somatic potential of as many of them as said."""
    import dendrosim as ds

    protocol = population(n, duration)
    return ds.simulate(
        ds.load_model(MODEL), protocol, method="rush_larsen", dt=f"{DT} ms", threads=threads,
        record=["v_s"] if record else [], record_neurons=range(record) if record else None,
        progress=False,
    )  # fmt: skip


def compiling() -> dict:
    """Return seconds of the first call, of the second, and of one with other numbers."""
    before = os.environ.get("DENDROSIM_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DENDROSIM_CACHE"] = folder
        try:
            rows = {}
            for label, n, duration in (("first", 2000, 10.0), ("same again", 2000, 10.0),
                                       ("other duration", 2000, 20.0),
                                       ("other number of neurons", 2001, 10.0)):  # fmt: skip
                began = time.perf_counter()
                meta = simulate(n, duration).meta
                rows[label] = {
                    "seconds": time.perf_counter() - began, "compiled": meta["compiled"],
                    "compile_seconds": meta["compile_seconds"], "run_seconds": meta["run_seconds"],
                }  # fmt: skip
        finally:
            if before is None:
                del os.environ["DENDROSIM_CACHE"]
            else:
                os.environ["DENDROSIM_CACHE"] = before
    return rows


def sizes(full: bool) -> list[dict]:
    """Return ns per neuron-step over N, T and what is recorded."""
    rows = []
    cases = [(10**3, 500.0), (10**3, 2000.0), (10**4, 50.0), (10**5, 5.0), (10**5, 20.0)]
    cases += [(10**6, 2.0), (10**6, 5.0)] if full else []
    for n, duration in cases:
        for record in (0, 10, n):
            values = record * duration / DT
            if values > MOST:
                continue
            simulate(n, duration, record)
            seconds, wall = [], []
            with one_core():
                for _ in range(3):
                    began = time.perf_counter()
                    seconds.append(simulate(n, duration, record).meta["processor_seconds"])
                    wall.append(time.perf_counter() - began)
            steps = n * round(duration / DT)
            rows.append({
                "neurons": n, "duration_ms": duration, "recorded": record,
                "ns_per_neuron_step": float(np.median(seconds)) / steps * 1e9,
                "run_seconds": float(np.median(seconds)), "call_seconds": float(np.median(wall)),
            })  # fmt: skip
    return rows


def threading(n: int = 10**5, duration: float = 50.0) -> dict:
    """Return seconds with one and two threads, and of two programs of one thread at once."""
    runs = {f"{k} thread(s)": (lambda k=k: simulate(n, duration, 0, k).meta["run_seconds"])
            for k in (1, 2)}  # fmt: skip
    seconds = interleaved(runs, 5)
    both = together(n, duration)
    one, two = (seconds.least[f"{k} thread(s)"] for k in (1, 2))
    return {
        "neurons": n, "duration_ms": duration, "seconds": seconds, "least": seconds.least,
        "speedup": one / two, "two_programs_at_once": both, "ceiling": 2 * one / both,
    }  # fmt: skip


def together(n: int, duration: float) -> float:
    """Return the slower of two programs at once: what the two cores give at best."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        rounds = []
        for _ in range(4):
            jobs = [pool.submit(_seconds, n, duration) for _ in range(2)]
            rounds.append(max(job.result() for job in jobs))
    return float(min(rounds[1:]))


def _seconds(n: int, duration: float) -> float:
    return simulate(n, duration).meta["run_seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="10^6 neurons, too")
    full = parser.parse_args().full
    result: dict = {"compiling": compiling()}
    rows = [(label, *row.values()) for label, row in result["compiling"].items()]
    print(table(("call", "seconds", "compiled", "compile s", "run s"), rows), flush=True)
    result["threads"] = threading()
    print("\n10^5 neurons, two threads: {speedup:.2f} times one; two programs at once on the same "
          "cores: {ceiling:.2f}".format(**result["threads"]), flush=True)  # fmt: skip
    save("growth", result)
    result["sizes"] = sizes(full)
    header = ("neurons", "ms", "recorded", "ns/neuron-step", "run s", "call s")
    print("\n" + table(header, [tuple(row.values()) for row in result["sizes"]]))
    save("growth", result)


if __name__ == "__main__":
    main()
