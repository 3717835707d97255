"""A trained-size network on C++ against torch eager, Brian2's synapses and other packages.

    python benchmarks/networks.py [--full]

The recurrent 1-64-256-256-10 lstm_lif network of S-MNIST, 784 steps, batch 1 and 64, at three
firing rates (by the scale of the weights).  One thread each; the processor's seconds.  Spikes are
compared.  snnTorch and SpikingJelly, where they can be imported (see README.md), run LIF neurons.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import interleaved, one_core, processor_seconds, save, table
from lif_peers import snntorch_lif, spikingjelly_lif

SIZES = (64, 256, 256)
STEPS = 784
# Mean firing rate of all neurons -> scale of all weights
SCALES = {"1 %": 1.6, "15 %": 3.0, "30 %": 3.55}


def network(scale: float, seed: int = 0):
    """Return the recurrent network; the third layer is feed-forward, as in the paper's code."""
    import dendrosim as ds

    layers, below = [], 1
    for k, n in enumerate(SIZES):
        layers.append(ds.Layer("lstm_lif", below, n, recurrent=k < 2))
        below = n
    net = ds.Network.random(layers, n_out=10, seed=seed)
    scaled = [
        layer.with_(
            input_weights={p: w * scale for p, w in layer.input_weights.items()},
            recurrent_weights={p: w * scale * 0.3 for p, w in layer.recurrent_weights.items()},
        )
        for layer in net.layers
    ]  # fmt: skip
    return ds.Network(scaled, net.readout_weights, net.readout_bias)


def images(batch: int, seed: int = 0) -> np.ndarray:
    """Return pixels like MNIST's: a fifth of them lit, in runs; shape (batch, 784, 1)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(batch, STEPS + 8))
    smooth = np.stack([np.convolve(row, np.ones(9) / 3, "valid") for row in noise])
    return np.clip(smooth - 0.85, 0, 1)[:, :, None]


def ours(net, x: np.ndarray, call: bool = False, **options) -> Callable[[], float]:
    """Return dendrosim on C++: its loop over time, or the whole call."""
    import dendrosim as ds

    def run() -> float:
        before = processor_seconds(here=True)
        run.output = ds.run_network(net, x, device="cpp", progress=False, **options)
        whole = processor_seconds(here=True) - before
        return whole if call else run.output.meta["processor_seconds"]

    return run


def eager(net, x: np.ndarray, dtype: str) -> Callable[[], float]:
    """Return the same network in torch eager, without gradients."""
    import torch

    from dendrosim.learn import TorchNetwork

    module = TorchNetwork(net, dtype=getattr(torch, dtype), fused=False)
    return inference(module, torch.as_tensor(x, dtype=getattr(torch, dtype)))


def inference(module, data) -> Callable[[], float]:
    """Return a forward pass of a torch module without gradients, one thread."""
    import torch

    torch.set_num_threads(1)
    module.eval()

    def run() -> float:
        before = processor_seconds(here=True)
        with torch.no_grad():
            run.output = module(data)
        return processor_seconds(here=True) - before

    return run


def synapses(net, x: np.ndarray, folder: Path) -> Callable[[], float]:
    """Return Brian2's own event-driven form for one sample: ``on_pre="I += w"``, all-to-all."""
    import brian2 as b2
    from brian2.devices.device import get_device, reset_device, set_device

    set_device("cpp_standalone", build_on_run=False)
    device = get_device()
    device.reinit()
    device.activate(build_on_run=False)
    try:
        dt = 1 * b2.ms
        pixels = b2.TimedArray(x[0, :, 0], dt=dt, name="pixels")
        model = net.layers[0].model
        values = {name: float(v) for name, v in net.layers[0].values().items()}
        objects: list = []
        for k, layer in enumerate(net.layers):
            group = b2.NeuronGroup(
                layer.n, "U_D : 1\nU_S : 1\nS : 1\nI_rec : 1\nI_in : 1\nI : 1\nw_in : 1\nI_0 : 1",
                threshold="S > 0.5", reset="", dt=dt, name=f"layer{k}",
                namespace={"pixels": pixels, **values},
            )  # fmt: skip
            group.thresholder["spike"].when, group.thresholder["spike"].order = "groups", 4 * k + 2
            group.w_in = layer.input_weights["I"][:, 0] if k == 0 else 0
            group.I_0 = layer.bias["I"] if layer.bias else 0
            drive = "pixels(t)*w_in + " if k == 0 else ""
            text = "\n".join(statement.text for statement in model.update)
            code = f"I = {drive}I_in + I_rec + I_0\nI_in = 0\nI_rec = 0\n{text}"
            group.run_regularly(code, when="groups", order=4 * k + 1, name=f"update{k}")
            objects += [group, b2.SpikeMonitor(group, name=f"spikes{k}")]
            sources = [(group, "I_rec", layer.recurrent_weights)] if layer.recurrent else []
            if k:
                sources.append((objects_of(objects, k - 1), "I_in", layer.input_weights))
            for source, variable, weights in sources:
                s = b2.Synapses(source, group, "w : 1", on_pre=f"{variable}_post += w",
                                name=f"synapses_{variable}_{k}")  # fmt: skip
                s.connect()
                s.w = weights["I"].T.ravel()
                s.pre.when = "groups"
                s.pre.order = 4 * k if variable == "I_in" else 4 * k + 3
                objects.append(s)
        b2.Network(*objects).run(STEPS * dt)
        device.build(directory=str(folder), compile=True, run=False)
        last = next(o for o in objects if o.name == f"spikes{len(net.layers) - 1}")
        file = Path(device.get_array_filename(last.variables["i"])).name
    finally:
        device.reinit()
        reset_device("runtime")

    def run() -> float:
        before = processor_seconds()
        subprocess.run(["./main"], cwd=folder, check=True, capture_output=True)
        seconds = processor_seconds() - before
        run.count = len(np.fromfile(folder / "results" / file, dtype=np.int32))
        return seconds

    return run


def objects_of(objects: list, k: int):
    """Return the group of layer k."""
    return next(o for o in objects if o.name == f"layer{k}")


def firing(output) -> list[float]:
    """Return the firing rate of each layer: spikes per neuron and step."""
    return [float(np.mean(np.asarray(s))) for s in output.spikes]


def measure(batch: int, label: str, repeat: int, folder: Path) -> dict:
    """Return seconds of all ways to run one network."""
    import torch

    net, x = network(SCALES[label]), images(batch)
    runs = {}
    for dtype in ("float64", "float32"):
        runs[f"dendrosim cpp {dtype}"] = ours(net, x, dtype=dtype)
        runs[f"dendrosim cpp {dtype}, whole call"] = ours(net, x, call=True, dtype=dtype)
        runs[f"torch eager {dtype}"] = eager(net, x, dtype)
    shape, data = ((1, *SIZES), (True, True, False), 10), torch.as_tensor(x, dtype=torch.float32)
    others = {
        "snnTorch (LIF)": snntorch_lif(*shape),
        "SpikingJelly (LIF)": spikingjelly_lif(*shape),
    }
    runs |= {name: inference(module, data) for name, module in others.items() if module}
    if batch == 1:
        runs["Brian2 Synapses"] = synapses(net, x, folder)
    for run in runs.values():
        run()
    with one_core():
        seconds = interleaved(runs, repeat, settle=False)
    mine, theirs = runs["dendrosim cpp float64"].output, runs["torch eager float64"].output
    differing = sum(int((a != b.numpy().astype(bool)).sum())
                    for a, b in zip(mine.spikes, theirs.spikes, strict=True))  # fmt: skip
    return {
        "batch": batch, "aimed": label, "rates": firing(mine), "seconds": seconds,
        "ratio_to_torch": {n: s / seconds["torch eager float32"] for n, s in seconds.items()},
        "spikes_that_differ_from_torch_float64": differing,
        "synapses_last_layer_spikes": [getattr(runs.get("Brian2 Synapses"), "count", None),
                                       int(mine.spikes[-1].sum())],
    }  # fmt: skip


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="nine rounds instead of three")
    repeat = 9 if parser.parse_args().full else 3
    rows: list[dict] = []
    for batch in (1, 64):
        for label in SCALES:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(batch, label, repeat, Path(folder) / "synapses"))
            row = rows[-1]
            rate = " ".join(f"{100 * r:.1f}" for r in row["rates"])
            print(f"\nbatch {batch}, firing {rate} % of steps (layer by layer); "
                  f"{row['spikes_that_differ_from_torch_float64']} spikes differ; last layer "
                  f"{row['synapses_last_layer_spikes']}")  # fmt: skip
            cells = [(n, s * 1e3, row["ratio_to_torch"][n]) for n, s in row["seconds"].items()]
            print(table(("program", "ms", "x torch float32"), cells), flush=True)
            save("networks", {"sizes": SIZES, "steps": STEPS, "rows": rows})


if __name__ == "__main__":
    main()
