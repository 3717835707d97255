"""Comparison of all spikes between devices, to verify that a network was transferred correctly.

A network runs on several devices and every pair is compared.  Two devices may add the same numbers
in a different order.  A neuron within rounding of its threshold can therefore spike on one device
and not on the other: a tie.  Afterwards, the two runs of that sample differ permanently, so only
first differences can be classified; the others are their consequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from brian2.units.fundamentalunits import DIMENSIONLESS

from dendrosim import checks
from dendrosim.devices.execute import DEVICES, DTYPES
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.networks.files import as_network
from dendrosim.networks.inputs import as_input
from dendrosim.networks.network import Network, check_network
from dendrosim.networks.run import NetworkOutput, run_network
from dendrosim.progress import progress_bar
from dendrosim.verification.differences import decisive_states, differences
from dendrosim.verification.result import FIRST, PAIRS, Verification

TIE = 1e-9
PLACES = ("torch", *DEVICES)
_NUMBERS = 2**26  # numbers recorded at a time on each device: half a gigabyte


def verify(
    network: Network,
    x: Any,
    devices: Sequence[str] = ("torch", "cython", "cpp"),
    dtype: str | Sequence[str] = "float64",
    tie: float = TIE,
    *,
    batch: int | None = None,
    progress: bool | None = None,
) -> Verification:
    """Run a network on several devices and compare every spike.

    Parameters
    ----------
    network
        Weights and model texts, or the path of their file.
    x
        Shape (B, T, n_in) or (T, n_in).
    devices
        Two or more of ``"torch"``, ``"numpy"``, ``"cython"``, ``"cpp"``, ``"cuda"``.
    dtype
        ``"float64"`` or ``"float32"``: the number type of all devices, or one per device.
    tie
        A first difference is a tie if both devices are closer to threshold than this.
    batch
        Samples that run side by side; 64, or fewer to limit memory.
    progress
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    Verification

    Raises
    ------
    DendrosimError
        If the input does not match, a device or type is unknown, or a device appears twice.

    Notes
    -----
    Compared with a device in float32, a first difference in step t (from 0) is a tie if both
    devices are closer to threshold than ``(t + 4) * 2**-23 * M``; for two devices in float32 the
    bound is the sum of both.  ``M`` is the largest magnitude in the neuron so far: the largest
    absolute state plus the largest sum of absolute weighted inputs.  The bound thus allows four
    roundings of float32 at that magnitude, plus one per step of the state.  Before a first
    difference all spikes agree, so rounding in other neurons has no effect on it.  For the
    models on the shelf, potentials differed by at most a fifth of this bound; a model with
    larger rounding errors is reported as different, not as tied.

    A neuron may amplify roundings, because it is unstable between its spikes.  The first 20
    differences per pair and batch beyond these bounds are examined: the neuron runs alone on
    its input, once as it is and eight times with each step changed by at most ``2**-52`` of the
    sum of absolute terms.  If four times the largest change of its distance covers the
    difference, it is a tie, marked as ``amplified``.
    """
    network = as_network(network)
    devices = _checked_devices(devices)
    tie = checks.positive(tie, "tie", dim=DIMENSIONLESS, zero=True)
    dtypes = _checked_types(dtype, devices)
    x = as_input(network, x)
    record = decisive_states(network, every="float32" in dtypes.values())
    side = _side(network, x, record, batch)
    counts: dict[tuple[str, str], np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    seconds = dict.fromkeys(devices, 0.0)
    with progress_bar(progress, f"{network!r} on {', '.join(devices)}") as tell:
        for start in range(0, len(x), side):
            chunk = x[start : start + side]
            runs = {}
            for number, device in enumerate(devices):
                runs[device] = _run(network, chunk, side, device, dtypes[device], record)
                seconds[device] += runs[device].meta["run_seconds"]
                if tell:
                    share = (start + side * (number + 1) / len(devices)) / len(x)
                    tell(min(1.0, share))
            found, first = differences(network, chunk, runs, tie)
            counts = {pair: counts.get(pair, 0) + found[pair] for pair in found}
            rows += [row | {"sample": row["sample"] + start} for row in first]
    return _verification(network, x, counts, rows, dtypes, tie, seconds)


def compare_runs(
    network: Network, x: Any, runs: Mapping[str, NetworkOutput], tie: float = TIE
) -> Verification:
    """Compare existing runs of a network.

    Parameters
    ----------
    network
        The network; its text and parameters determine the distances to threshold.
    x
        The input of the runs, shape (B, T, n_in) or (T, n_in).
    runs
        Name to output, with recorded `decisive_states`.
    tie
        As for `verify`.

    Raises
    ------
    DendrosimError
        If a state was not recorded.
    """
    check_network(network)
    tie = checks.positive(tie, "tie", dim=DIMENSIONLESS, zero=True)
    x = as_input(network, x)
    for name, run in runs.items():
        for k, wanted in decisive_states(network).items():
            if missing := set(wanted) - set(run.states[k]):
                raise DendrosimError(f"{name}: layer {k} lacks {', '.join(sorted(missing))}")
    counts, rows = differences(network, x, runs, tie)
    dtypes = {name: run.meta.get("dtype", "float64") for name, run in runs.items()}
    seconds = {name: run.meta["run_seconds"] for name, run in runs.items()}
    return _verification(network, x, counts, rows, dtypes, tie, seconds)


def _checked_devices(devices: Sequence[str]) -> tuple[str, ...]:
    names = tuple(checks.texts(devices, "devices"))
    for name in names:
        if name not in PLACES:
            raise DendrosimError(f"unknown device {name!r}; {did_you_mean(str(name), PLACES)}")
    if len(set(names)) < len(names):
        raise DendrosimError(f"a device appears twice in {', '.join(names)}")
    if len(names) < 2:
        raise DendrosimError("two devices or more are needed to compare")
    return names


def _checked_types(dtype: str | Sequence[str], devices: tuple[str, ...]) -> dict[str, str]:
    given = tuple(checks.texts(dtype, "dtype"))
    given = given * len(devices) if isinstance(dtype, str) else given
    for name in given:
        if name not in DTYPES:
            raise DendrosimError(f"dtype = {name!r}; {did_you_mean(str(name), DTYPES)}")
    if len(given) != len(devices):
        raise DendrosimError(
            f"dtype has {len(given)} types for {len(devices)} devices; give one for all, or each"
        )
    return dict(zip(devices, given, strict=True))


def _side(network: Network, x: np.ndarray, record: Mapping, batch: int | None) -> int:
    numbers = x.shape[1] * sum(
        layer.n * (1 + len(record[k])) for k, layer in enumerate(network.layers)
    )
    if numbers > 2**30:
        raise DendrosimError(
            f"one sample of {x.shape[1]} steps makes {numbers:,} numbers to compare, more than "
            f"the limit of {2**30:,}"
        )
    if batch is not None:
        checks.whole(batch, "batch", least=1)
    return min(len(x), batch or max(1, min(64, _NUMBERS // numbers)))


def _run(
    network: Network, x: np.ndarray, side: int, device: str, dtype: str,
    record: Mapping[int, tuple[str, ...]],
) -> NetworkOutput:  # fmt: skip
    n = len(x)
    if n < side:  # fill the batch: a compiled program has a fixed size
        x = np.concatenate([x, np.zeros((side - n, *x.shape[1:]))])
    if device == "torch":
        runner = import_module("dendrosim.learn.networks.run")
        out = runner.run_torch(network, x, dtype=dtype, record=record)
    else:
        out = run_network(
            network, x, device=device, dtype=dtype, record=record, batch=side, progress=False
        )
    states = [{name: values[:n] for name, values in kept.items()} for kept in out.states]
    return NetworkOutput([s[:n] for s in out.spikes], out.readout[:n], states, out.meta)


def _verification(
    network: Network, x: np.ndarray, counts: Mapping, rows: Sequence[dict],
    dtypes: Mapping[str, str], tie: float, seconds: Mapping[str, float],
) -> Verification:  # fmt: skip
    samples, steps = x.shape[:2]
    pairs = [
        (a, b, k, layer.model.name, samples * steps * layer.n, *map(int, table[k]))
        for (a, b), table in counts.items()
        for k, layer in enumerate(network.layers)
    ]
    first = [row | {"fires_on": row["a"] if row.pop("on_a") else row["b"]} for row in rows]
    neurons = sum(layer.n for layer in network.layers)
    meta = {
        "devices": list(seconds), "dtypes": dict(dtypes), "tie": tie, "samples": samples,
        "steps": steps, "neuron_steps": samples * steps * neurons, "run_seconds": dict(seconds),
    }  # fmt: skip
    return Verification(
        pd.DataFrame(pairs, columns=list(PAIRS)),
        pd.DataFrame(first, columns=list(FIRST)).astype({"tie": bool}),
        meta,
    )
