"""Sums over the neurons that fired against matrix products, by how many fire.

    python benchmarks/spike_products.py [--full] [--threads 1]

784 steps of a batch of 64, float32: what a layer of training multiplies.  `forward` is spikes times
weights; `weights` is the derivative by the weights.  Matrix products are torch's.  As in a training
the memory of one round is at hand for the next.
"""

from __future__ import annotations

import argparse
import time

import torch
from common import interleaved, save, table

from dendrosim.learn.kernels import spike_products
from dendrosim.learn.training import memory

SHAPES, RATES = ((256, 256), (128, 384)), (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def seconds_of(call):
    """Return a function that tells how long a call takes."""

    def run() -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return run


def row(n_in: int, n: int, rate: float, rounds: int) -> dict:
    """Return the seconds of all four."""
    x = (torch.rand(784, 64, n_in) < rate).float()
    weights, by_current = torch.randn(n, n_in), torch.randn(784, 64, n)
    seconds = interleaved({
        "forward, product": seconds_of(lambda: torch.nn.functional.linear(x, weights)),
        "forward, sums": seconds_of(
            lambda: spike_products._SpikeProduct.apply(x, weights, None)),
        "weights, product": seconds_of(lambda: by_current.flatten(0, 1).T @ x.flatten(0, 1)),
        "weights, sums": seconds_of(lambda: spike_products._outer(x, by_current)),
    }, rounds)  # fmt: skip
    return {"n_in": n_in, "n": n, "rate": rate, "seconds": dict(seconds.least)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="nine rounds instead of three")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rounds = 9 if options.full else 3
    with memory.kept():
        found = [row(*shape, rate, rounds) for shape in SHAPES for rate in RATES]
    lines = []
    for one in found:
        ms = [1e3 * second for second in one["seconds"].values()]
        lines.append((f"{one['n_in']} to {one['n']}, {100 * one['rate']:.0f} %", *ms,
                      ms[0] / ms[1], ms[2] / ms[3]))  # fmt: skip
    names = ("neurons, firing", *(f"{name} ms" for name in found[0]["seconds"]))
    print(table((*names, "forward x", "weights x"), lines))
    save(f"spike_products_{options.threads}_threads", {"rows": found})


if __name__ == "__main__":
    main()
