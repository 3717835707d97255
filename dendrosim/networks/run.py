"""Run a network in Brian2: the same text and weights as in torch, with identical spikes.

Each layer is one group that contains the samples of a batch side by side.  In every step, layer
by layer, the currents are summed and then the update is executed.  Therefore layer k+1 receives
the spikes of layer k from the same step, and a recurrent sum uses those of the previous step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import brian2 as b2
import numpy as np

from dendrosim import checks
from dendrosim.devices import execute
from dendrosim.errors import DendrosimError
from dendrosim.networks.files import as_network
from dendrosim.networks.inputs import as_input, as_record
from dendrosim.networks.job import NetworkJob
from dendrosim.networks.network import Network
from dendrosim.progress import progress_bar

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """Results of a network for a batch.

    Attributes
    ----------
    spikes
        One bool array per layer, shape (B, T, n).
    readout
        Shape (B, T, n_out).
    states
        One dict per layer with the recorded variables, each of shape (B, T, n).
    meta
        Device, number type, threads, versions, ``compiled``, ``compile_seconds``,
        ``run_seconds``, ``processor_seconds``.
    """

    spikes: list[Array]
    readout: Array
    states: list[dict[str, Array]]
    meta: Mapping[str, Any]


def run_network(
    network: Network,
    x: Any,
    *,
    device: str = "cpp",
    threads: int = 1,
    dtype: str = "float64",
    record: Mapping[int, tuple[str, ...]] | None = None,
    batch: int | None = None,
    progress: bool | None = None,
) -> NetworkOutput:
    """Run a network on a batch of inputs.

    Parameters
    ----------
    network
        Weights and model texts, or the path of their file.
    x
        Real values or spikes, shape (B, T, n_in) or (T, n_in).
    device
        ``"numpy"``, ``"cython"``, ``"cpp"`` or ``"cuda"``.
    threads
        OpenMP threads, device ``cpp`` only.
    dtype
        ``"float64"`` or ``"float32"``: the number type of states, weights and sums.
    record
        Layer number to names of variables to record besides the spikes.
    batch
        Samples that run side by side; by default 64, or the next power of two for fewer samples.
        More samples run one batch after another in the same program, from the initial state.
    progress
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    NetworkOutput

    Raises
    ------
    DendrosimError
        If the input does not match, or a device or variable is unknown.
    """
    network = as_network(network)
    if isinstance(device, str) and device == "torch":
        raise DendrosimError(
            "device 'torch' is not a device of Brian2: dendrosim.learn.TorchNetwork(network) runs "
            f"a network in torch, and verify compares it; valid: {', '.join(execute.DEVICES)}"
        )
    execute.check_device(device, threads)
    execute.check_dtype(dtype)
    x = as_input(network, x)
    record = as_record(network, record)
    if batch is not None:
        checks.whole(batch, "batch", least=1)
    # a power of two, so that another number of samples rarely needs a new compilation
    side = min(1 << (len(x) - 1).bit_length(), 64) if batch is None else min(len(x), int(batch))
    parts, compiled, seconds, processor = [], 0.0, 0.0, 0.0
    was_compiled = False
    with progress_bar(progress, f"{network!r}") as tell:
        for start in range(0, len(x), side):
            chunk = x[start : start + side]
            short = side - len(chunk)  # the last batch is filled up: the program has a fixed size
            full = np.concatenate([chunk, np.zeros((short, *chunk.shape[1:]))]) if short else chunk
            job = NetworkJob(network, full, record, dtype)
            done = execute.execute(job, device, threads)
            parts.append(job.result(done, len(chunk)))
            compiled += done.compile_seconds
            seconds += done.run_seconds
            processor += done.processor_seconds
            was_compiled |= done.compiled
            if tell:
                tell(min(1.0, (start + side) / len(x)))
    layers = range(len(network.layers))
    spikes = [np.concatenate([part[0][k] for part in parts]) for k in layers]
    states = [
        {name: np.concatenate([part[1][k][name] for part in parts]) for name in record.get(k, ())}
        for k in layers
    ]
    meta = {
        "device": device, "dtype": dtype, "threads": threads, "batch": side,
        "compiled": was_compiled, "compile_seconds": compiled, "run_seconds": seconds,
        "processor_seconds": processor, "brian2": b2.__version__,
    }  # fmt: skip
    return NetworkOutput(spikes, network.readout(spikes[-1]), states, meta)
