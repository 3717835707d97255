"""Run a network in torch, with the same call and the same results as in Brian2."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch

from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.learn.networks.torch_network import TorchNetwork
from dendrosim.networks.inputs import as_input, as_record
from dendrosim.networks.network import Network
from dendrosim.networks.run import NetworkOutput

DTYPES = {"float64": torch.float64, "float32": torch.float32}


def run_torch(
    network: Network,
    x: Any,
    *,
    dtype: str = "float64",
    record: Mapping[int, tuple[str, ...]] | None = None,
) -> NetworkOutput:
    """Run a network on a batch of inputs in torch, without gradients.

    Parameters
    ----------
    network
        Weights and model texts.
    x
        Real values or spikes, shape (B, T, n_in) or (T, n_in).
    dtype
        ``"float64"`` or ``"float32"``.
    record
        Layer number to names of variables to record besides the spikes.

    Returns
    -------
    NetworkOutput

    Raises
    ------
    DendrosimError
        If the input does not match or a variable is unknown.
    """
    if dtype not in DTYPES:
        raise DendrosimError(f"dtype = {dtype!r}; {did_you_mean(str(dtype), DTYPES)}")
    x = as_input(network, x)
    record = as_record(network, record)
    module = TorchNetwork(network, dtype=DTYPES[dtype], fused=False)
    started, used = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        out = module(torch.from_numpy(x), record)
    meta = {
        "device": "torch", "dtype": dtype, "torch": torch.__version__, "batch": len(x),
        "compiled": False, "compile_seconds": 0.0, "run_seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - used,
    }  # fmt: skip
    return NetworkOutput(
        [spikes.numpy() > 0.5 for spikes in out.spikes],
        out.readout.numpy().astype(float),
        [{name: values.numpy() for name, values in kept.items()} for kept in out.states],
        meta,
    )
