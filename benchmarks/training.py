"""One training step: fused kernels against autograd, its matrix products alone, other packages.

    python benchmarks/training.py [--full] [--threads 1] [--model lstm_lif] [--device cuda]

Forward and backward of the recurrent 1-64-256-256-10 network of S-MNIST, batch 64, 784 steps,
float32.  Each takes two steps in its turn and the second counts: in a training, too, the memory
of one step is at hand for the next.  snnTorch and SpikingJelly take part where they can be imported
(see README.md): their own LIF networks of the same sizes, recurrent in the same layers, each in its
fastest mode on a CPU.  On a GPU the clock stops when its work is done.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import torch
from common import interleaved, save, table
from lif_peers import snntorch_lif, spikingjelly_lif
from torch import Tensor, nn

from dendrosim.learn.training import memory

SIZES, STEPS, BATCH, CLASSES = (1, 64, 256, 256), 784, 64, 10
RECURRENT = (True, True, False)


def network(model: str):
    """Return the network with random weights."""
    import dendrosim as ds

    layers = [
        ds.Layer(model, n_in, n, recurrent=recurrent)
        for n_in, n, recurrent in zip(SIZES[:-1], SIZES[1:], RECURRENT, strict=True)
    ]
    return ds.Network.random(layers, n_out=CLASSES)


def second(once: Callable[[], float]) -> Callable[[], float]:
    """Return what does something twice and tells the seconds of the second time."""

    def run() -> float:
        once()
        return once()

    return run


def clock() -> float:
    """Return the time at which all that was asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(step: Callable[[], Tensor], parameters: list[Tensor]) -> Callable[[], float]:
    """Return the seconds of a loss and its gradients, the second time in a row."""

    def once() -> float:
        for parameter in parameters:
            parameter.grad = None
        began = clock()
        step().backward()
        return clock() - began

    return second(once)


def ours(model: str, x: Tensor, target: Tensor, fused: bool) -> Callable[[], float]:
    """Return dendrosim, a layer at a time."""
    from dendrosim.learn import TorchNetwork

    module = TorchNetwork(network(model), fused=fused).to(x.device)

    def step() -> Tensor:
        out = module(x)
        step.rates = [float(spikes.detach().mean()) for spikes in out.spikes]
        return nn.functional.cross_entropy(out.readout.mean(1), target)

    run = timed(step, list(module.parameters()))
    run.module, run.step = module, step
    return run


def step_by_step(model: str, x: Tensor, target: Tensor) -> Callable[[], float]:
    """Return autograd, all layers at each step: how such networks are usually written."""
    from dendrosim.learn import TorchNetwork

    module = TorchNetwork(network(model), fused=False).to(x.device)

    def step() -> Tensor:
        values = [layer.values() for layer in module.layers]
        states = [layer.initial((len(x), layer.layer.n), x) for layer in module.layers]
        total = 0
        for signal in x.unbind(1):
            for k, layer in enumerate(module.layers):
                fired = states[k][layer.layer.model.output]
                ports = {
                    port: nn.functional.linear(signal, weights, layer.bias[port])
                    for port, weights in layer.input_weights.items()
                }
                for port, weights in layer.recurrent_weights.items():
                    ports[port] = ports[port] + fired @ weights.T
                states[k] = layer.step(states[k], ports, values[k])
                signal = states[k][layer.layer.model.output]
            total = total + nn.functional.linear(
                signal, module.readout_weights, module.readout_bias
            )
        return nn.functional.cross_entropy(total / STEPS, target)

    return timed(step, list(module.parameters()))


def products(ports: int, device: str) -> Callable[[], float]:
    """Return the matrix products of the step alone, forward and backward."""
    work = []
    for n_in, n, recurrent in zip(SIZES[:-1], SIZES[1:], RECURRENT, strict=True):
        rows = STEPS * BATCH
        shapes = (rows, n_in), (ports * n, n_in), (rows, ports * n), (ports * n, n), (rows, n)
        work.append((*(torch.rand(shape, device=device) for shape in shapes), recurrent))

    def once() -> float:
        began = clock()
        for below, weights, current, own, fired, recurrent in work:
            below @ weights.T
            current.T @ below
            if below.shape[1] > 1:  # the input itself needs no gradient
                current @ weights
            if recurrent:
                for spikes in fired.split(BATCH):
                    spikes @ own.T
                for row in current.split(BATCH):
                    row @ own
                current.T @ fired
        return clock() - began

    return second(once)


def other(module: nn.Module | None, x: Tensor, target: Tensor) -> Callable[[], float] | None:
    """Return the step of another package's network."""
    if module is None:
        return None
    module = module.to(x.device)
    return timed(lambda: nn.functional.cross_entropy(module(x), target), list(module.parameters()))


def same_gradients(a: nn.Module, b: nn.Module) -> float:
    """Return the largest difference of gradients, by the largest gradient of each parameter."""
    return max(
        float((p.grad - q.grad).abs().max() / q.grad.abs().max())
        for p, q in zip(a.parameters(), b.parameters(), strict=True)
        if q.grad is not None and q.grad.any()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="five rounds instead of two")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="lstm_lif", help="of the layers, such as lrmm")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda needs an NVIDIA GPU, and torch sees none here")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x, target = torch.rand(BATCH, STEPS, 1), torch.randint(0, CLASSES, (BATCH,))
    x, target = x.to(options.device), target.to(options.device)
    fused, eager = (ours(options.model, x, target, way) for way in (True, False))
    ports = len(network(options.model).layers[0].model.ports)
    shape = (SIZES, RECURRENT, CLASSES)
    runs = {
        "matrix products alone": products(ports, options.device), "dendrosim, fused": fused,
        "autograd, layer by layer": eager,
        "autograd, step by step": step_by_step(options.model, x, target),
        "snnTorch (LIF)": other(snntorch_lif(*shape), x, target),
        "SpikingJelly (LIF)": other(spikingjelly_lif(*shape), x, target),
    }  # fmt: skip
    missing = [name for name, run in runs.items() if run is None]
    runs = {name: run for name, run in runs.items() if run}
    # Whichever program of a round used it: none waits for fresh pages
    with memory.kept():
        seconds = interleaved(runs, 5 if options.full else 2)
    rows = [
        (name, taken, seconds.least[name], taken / seconds["matrix products alone"],
         taken / seconds["dendrosim, fused"])
        for name, taken in seconds.items()
    ]  # fmt: skip
    print(table(("one step of training", "s", "least", "x products", "x fused"), rows))
    rates, difference = fused.step.rates, same_gradients(fused.module, eager.module)
    print(
        f"firing {', '.join(f'{100 * r:.1f} %' for r in rates)}; gradients fused and eager differ "
        f"by {difference:.1e} at most; not installed: {', '.join(missing) or '-'}"
    )
    place = f"{options.threads}_threads"
    if options.device == "cuda":
        place = torch.cuda.get_device_name().replace(" ", "_")
    save(f"training_{options.model}_{place}", {
        "sizes": SIZES, "batch": BATCH, "steps": STEPS, "threads": options.threads,
        "seconds": seconds, "least": seconds.least, "rates": rates,
        "largest_difference_of_gradients": difference, "not_installed": missing,
    })  # fmt: skip


if __name__ == "__main__":
    main()
