"""A step of training that gets the memory of the one before, against fresh pages.

    python benchmarks/kept_memory.py [--full] [--threads 1]

Forward and backward of the network of `training.py` on fused kernels, each way in a process of its
own: in one that has run anything else, freed memory may lie at hand anyway.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import time
from statistics import median

import torch
from common import save, table
from training import BATCH, CLASSES, STEPS, network

WAYS = {"fresh pages": "fresh", "kept, as `train` does": "kept"}
WARM = 4  # steps until freed memory has found its places


def steps(way: str, threads: int, count: int) -> list[tuple[float, int]]:
    """Return seconds and fresh pages of each step."""
    from dendrosim.learn import TorchNetwork
    from dendrosim.learn.training import memory

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    module = TorchNetwork(network("lstm_lif"))
    x, target = torch.rand(BATCH, STEPS, 1), torch.randint(0, CLASSES, (BATCH,))
    found = []
    with memory.kept() if way == "kept" else contextlib.nullcontext():
        for _ in range(WARM + count):
            module.zero_grad()
            pages, began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
            torch.nn.functional.cross_entropy(module(x).readout.mean(1), target).backward()
            taken = time.perf_counter() - began
            found.append((taken, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages))
    return found[WARM:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="twelve steps instead of four")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--way", choices=[*WAYS.values()], help=argparse.SUPPRESS)
    options = parser.parse_args()
    count = 12 if options.full else 4
    if options.way:
        print(json.dumps(steps(options.way, options.threads, count)))
        return
    found = {}
    for name, way in WAYS.items():
        run = subprocess.run(
            [sys.executable, *sys.argv, "--way", way], capture_output=True, text=True, check=True
        )
        columns = zip(*json.loads(run.stdout), strict=True)
        found[name] = [median(column) for column in columns]
    kept = found["kept, as `train` does"][0]
    rows = [(name, taken, pages, taken / kept) for name, (taken, pages) in found.items()]
    print(table(("one step of training", "s", "fresh pages", "x kept"), rows))
    save(f"kept_memory_{options.threads}_threads", {"median_seconds_and_pages": found})


if __name__ == "__main__":
    main()
