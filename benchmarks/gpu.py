"""How fast on a GPU: against C++ on all cores of the same machine, and against the GPU's limits.

    python benchmarks/gpu.py neurons [--dtype float32] [--sizes 10000 1000000] [--out FOLDER]
    python benchmarks/gpu.py network [--dtype float32] [--batches 1 64 4096] [--out FOLDER]
    python benchmarks/gpu.py limits          # bytes and operations alone: needs no GPU

Kepecs-Wang neurons under as many constant currents, and the recurrent 1-64-256-256-10 network of
S-MNIST over 784 steps.  Each command takes a few minutes, most of it compiling, and adds its rows
to `results/gpu_NAME.json`, NAME being that of the GPU.  The seconds are those of the loop over
time alone, the least of three runs.  Without a GPU it ends in one sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import limits
import numpy as np
from common import MODELS, RESULTS, machine, population, table
from networks import SCALES, STEPS, firing, images, network

SIZES, BATCHES = (10**4, 10**5, 10**6, 10**7), (1, 16, 256, 4096)
DTYPES = ("float64", "float32")
MODEL, METHOD, DT = MODELS["kepecs_wang"], "rk4", 0.05  # ms
REPEAT = 3
RATE = "15 %"  # of `networks.SCALES`
HEADER = ("", "type", "C++ s", "GPU s", "x C++", "us a step", "least us", "% of limit", "spikes")


def steps_for(n: int) -> int:
    """Return how many steps of n neurons C++ does in some seconds; at least a burst's 4 ms."""
    return int(np.clip(4e9 / n, 80, 10_000))


def neurons(n: int, dtype: str, gpu: limits.Gpu) -> dict:
    """Return the row of n neurons."""
    import dendrosim as ds

    steps = steps_for(n)
    protocol, model = population(n, steps * DT), ds.load_model(MODEL)

    def run(device: str, threads: int = 1):
        return ds.simulate(model, protocol, device=device, threads=threads, method=METHOD,
                           dt=f"{DT} ms", record=[], dtype=dtype, progress=False)  # fmt: skip

    runs = {"cpp": lambda: run("cpp", os.cpu_count() or 1), "cuda": lambda: run("cuda")}
    seconds, (cpp, cuda) = least_of(runs)
    size, work = neuron_work(n, dtype)
    equal = np.array_equal(cpp.spike_i, cuda.spike_i) and np.allclose(
        cpp.spike_t, cuda.spike_t, rtol=0, atol=1.01e-3 * DT
    )
    return row("neurons", n, dtype, steps, seconds, gpu, size, work) | {
        "spikes": [len(cpp.spike_t), len(cuda.spike_t)], "within_a_step": bool(equal),
    }  # fmt: skip


def circuit(batch: int, dtype: str, gpu: limits.Gpu) -> dict:
    """Return the row of a batch of the network."""
    import dendrosim as ds

    net, x = network(SCALES[RATE]), images(batch)

    def run(device: str, threads: int = 1):
        return ds.run_network(net, x, device=device, threads=threads, dtype=dtype, batch=batch,
                              progress=False)  # fmt: skip

    runs = {"cpp": lambda: run("cpp", os.cpu_count() or 1), "cuda": lambda: run("cuda")}
    seconds, (cpp, cuda) = least_of(runs)
    rates = firing(cpp)
    size, work = network_work(net, batch, dtype, rates)
    differing = sum(int((a != b).sum()) for a, b in zip(cpp.spikes, cuda.spikes, strict=True))
    return row("network", batch, dtype, STEPS, seconds, gpu, size, work) | {
        "rates": rates, "spikes": [sum(int(s.sum()) for s in out.spikes) for out in (cpp, cuda)],
        "differing_bins": differing,
    }  # fmt: skip


def least_of(runs: dict[str, Callable]) -> tuple[dict[str, float], tuple]:
    """Run each in turn; return the least seconds of each loop, and what each gave last."""
    seconds = {name: [] for name in runs}
    for _ in range(REPEAT):
        last = {name: run() for name, run in runs.items()}
        for name, result in last.items():
            seconds[name].append(result.meta["run_seconds"])
    return {name: min(taken) for name, taken in seconds.items()}, tuple(last.values())


def neuron_work(n: int, dtype: str) -> tuple[int, int]:
    """Return bytes and operations of a step of n neurons."""
    import dendrosim as ds
    from dendrosim.simulation.run import make_job

    few = 1000  # the work of each is the same
    job = make_job(ds.load_model(MODEL), population(few), method=METHOD, dt=f"{DT} ms", record=[],
                   dtype=dtype)  # fmt: skip
    size, work = limits.least(limits.parts(job))
    return size * n // few, work * n // few


def network_work(net, batch: int, dtype: str, rates: list[float]) -> tuple[int, int]:
    """Return bytes and operations of a step of a batch: the texts of the layers, and their sums."""
    from dendrosim.networks.job import NetworkJob

    size, work = limits.least(limits.parts(NetworkJob(net, images(1)[:, :4], {}, dtype)))
    weights, adds = limits.sums(net, rates, batch, dtype)
    return size * batch + weights, work * batch + adds


def row(
    case: str, size: int, dtype: str, steps: int, seconds: dict, gpu: limits.Gpu, moved: int,
    work: int,
) -> dict:  # fmt: skip
    """Return what is kept of a measurement."""
    bound = gpu.seconds(moved, work, dtype)
    return {
        "case": case, "size": size, "dtype": dtype, "steps": steps, "seconds": seconds,
        "times_cpp": seconds["cpp"] / seconds["cuda"], "bytes_a_step": moved,
        "operations_a_step": work, "least_seconds_a_step": bound,
        "of_limit": bound * steps / seconds["cuda"],
    }  # fmt: skip


def text(rows: list[dict]) -> str:
    """Return the table."""
    return table(HEADER, [
        (f"{r['size']:,} {r['case']}" if r["case"] == "neurons" else f"batch {r['size']:,}",
         r["dtype"], r["seconds"]["cpp"], r["seconds"]["cuda"], r["times_cpp"],
         1e6 * r["seconds"]["cuda"] / r["steps"], 1e6 * r["least_seconds_a_step"],
         100 * r["of_limit"], "equal" if len(set(r["spikes"])) == 1 else "differ")
        for r in rows
    ])  # fmt: skip


def slug(name: str) -> str:
    """Return a GPU's name as part of a file's: ``NVIDIA H100 80GB HBM3`` is h100_80gb_hbm3."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "_".join(word for word in words if word != "nvidia")


def keep(gpu: limits.Gpu, rows: list[dict], folder: Path) -> None:
    """Put rows into the file of this GPU, in place of those of the same case."""
    path = folder / f"gpu_{slug(gpu.name)}.json"
    before = json.loads(path.read_text())["rows"] if path.is_file() else []
    keys = [(r["case"], r["dtype"], r["size"]) for r in rows]
    old = [r for r in before if (r["case"], r["dtype"], r["size"]) not in keys]
    every = sorted([*old, *rows], key=lambda r: (r["case"], r["dtype"], r["size"]))
    folder.mkdir(exist_ok=True)
    found = {"machine": machine(), "gpu": vars(gpu), "method": METHOD, "dt_ms": DT, "rows": every}
    path.write_text(json.dumps(found, indent=1, default=float) + "\n")


def show_limits() -> None:
    """Print what is counted in the statements."""
    net, rates = network(SCALES[RATE]), [0.15] * 3
    rows = []
    for dtype in DTYPES:
        rows.append((f"a neuron of {MODEL}, {METHOD}", dtype, *neuron_work(1000, dtype), 1000))
        for batch in (1, 4096):
            work = network_work(net, batch, dtype, rates)
            rows.append((f"S-MNIST network, batch {batch}, {RATE}", dtype, *work, batch))
    cells = [(name, dtype, size / n, work / n, work / size) for name, dtype, size, work, n in rows]
    print(table(("of each step", "type", "bytes", "operations", "operations/byte"), cells))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", choices=("neurons", "network", "limits"))
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="of neurons")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="of the network")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the result")
    given = parser.parse_args()
    if given.case == "limits":
        show_limits()
        return 0
    gpu = limits.find_gpu()
    if gpu is None:
        print("gpu.py needs an NVIDIA GPU, and the driver lists none here; `gpu.py limits` counts "
              "bytes and operations without one", file=sys.stderr)  # fmt: skip
        return 2
    sizes, measure = (given.sizes, neurons) if given.case == "neurons" else (given.batches, circuit)
    rows: list[dict] = []
    for dtype in given.dtype:
        for size in sizes:
            rows.append(measure(size, dtype, gpu))
            keep(gpu, rows, given.out)  # what is measured stays, whatever comes next
            print(text(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(f"{gpu.name}, {machine()['cpu']} ({os.cpu_count()} cores)\n{text(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
