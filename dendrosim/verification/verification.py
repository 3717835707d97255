"""Is the network that was trained the network that is simulated?  Spike for spike, on each device.

A network runs on several devices and every pair is compared.  Two devices may add the same numbers
in another order, so a neuron that lands within rounding of its threshold can fire on one and not on
the other: a tie.  After it the two runs of that sample part for good, so only first differences can
be judged; the others are their consequences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from dendrosim.tables import aligned
from dendrosim.verification.differences import ROUNDINGS, decisive_states, differences

TIE = 1e-9
PLACES = ("torch", *DEVICES)
_SHOWN = 5
_NUMBERS = 2**26  # recorded at a time on each device, half a gigabyte

_PAIRS = ("a", "b", "layer", "model", "bins", "spikes", "differing", "inner", "samples")
_FIRST = (
    "a", "b", "sample", "step", "layer", "neuron", "variable", "fires_on", "distance_a",
    "distance_b", "tolerance", "tie",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Verification:
    """What the comparison of devices found.

    Attributes
    ----------
    pairs
        A row for each pair of devices ``a``, ``b`` and each layer: ``bins`` (samples times steps
        times neurons), ``spikes`` on ``a``, in how many bins the spikes are ``differing``, how many
        more differ only in an ``inner`` spike of the unit (such as ``S_C`` of LRMM), and in how
        many ``samples``.
    first
        A row for each first difference: pair, ``sample``, ``step``, ``layer``, ``neuron``, the
        ``variable`` of the text that differs, the device that it ``fires_on``, its distance to
        threshold (left minus right side of the comparison in the text) on both devices, the
        ``tolerance`` and whether it is a ``tie``.
    meta
        Devices, ``dtypes`` (the type of each), ``tie``, samples, steps, neurons, and per device
        the seconds.
    """

    pairs: pd.DataFrame
    first: pd.DataFrame
    meta: Mapping[str, Any]

    @property
    def equal(self) -> bool:
        """Whether no bin differs."""
        return not (self.pairs["differing"].any() or self.pairs["inner"].any())

    @property
    def explained(self) -> bool:
        """Whether no bin differs, or each first difference is a tie."""
        return self.equal or bool(len(self.first) and self.first["tie"].all())

    def text(self) -> str:
        """Return the tables for people, and one sentence for the whole."""
        meta = self.meta
        lines = [
            f"{meta['samples']} sample(s) of {meta['steps']} steps, {meta['neuron_steps']:,} "
            f"neuron-steps, {_precision(meta)}"
        ]
        columns = {
            "devices": [f"{a} - {b}" for a, b in zip(self.pairs.a, self.pairs.b, strict=True)]
        }
        columns |= {name: list(self.pairs[name]) for name in _PAIRS[2:]}
        lines += ["", *aligned(columns, keys=2)]
        for (a, b), rows in self.first.groupby(["a", "b"], sort=False):
            lines += ["", f"{a} - {b}: {len(rows)} first difference(s), {rows.tie.sum()} tie(s)"]
            shown = pd.concat([rows[~rows.tie], rows[rows.tie]])[:_SHOWN]
            lines += [f"  {_sentence(row)}" for row in shown.itertuples()]
            if len(rows) > _SHOWN:
                lines.append(f"  and {len(rows) - _SHOWN} more")
        verdict = "equal in every bin" if self.equal else (
            "equal but for ties" if self.explained else "NOT equal"
        )  # fmt: skip
        return "\n".join([*lines, "", f"{', '.join(meta['devices'])}: {verdict}"])

    def to_json(self) -> dict[str, Any]:
        """Return plain values for machines."""
        return {
            "equal": self.equal, "explained": self.explained, "meta": dict(self.meta),
            "pairs": self.pairs.to_dict("records"), "first": self.first.to_dict("records"),
        }  # fmt: skip


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
        ``"float64"`` or ``"float32"``: the type in which all devices compute, or one for each.
    tie
        A first difference is a tie where both devices are nearer to threshold than this.
    batch
        Samples that run side by side; 64, or fewer where that would take much memory.
    progress
        Whether to show a progress bar; on a terminal by default.

    Returns
    -------
    Verification

    Raises
    ------
    DendrosimError
        If the input does not fit, a device or type is unknown, or a device stands there twice.

    Notes
    -----
    Against a device in float32, a first difference in step t (from 0) is a tie where both devices
    are nearer to threshold than ``(t + 4) * 2**-23 * M``; between two devices in float32 each may
    be that far off, and the bound is the sum of theirs.  ``M`` is the largest magnitude that the
    neuron has seen so far: the largest absolute state plus the largest sum of absolute weighted
    inputs.  So a neuron is granted four roundings of float32 at that magnitude and one more for
    each step that its state is carried on.  Before a first difference all spikes agree, so the
    rounding of other neurons cannot have reached it.  For the models of the shelf the potentials
    were seen to part by up to a fifth of that; a model whose rounding grows beyond it is called
    different, not tied.
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
    """Compare runs of a network that were made elsewhere.

    Parameters
    ----------
    network
        The network; distances to threshold are told with its text and parameters.
    x
        What it was given, shape (B, T, n_in) or (T, n_in).
    runs
        Name to output, with the states of `decisive_states` recorded.
    tie
        As for `verify`.

    Raises
    ------
    DendrosimError
        If a state is lacking.
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
        raise DendrosimError(f"a device stands twice in {', '.join(names)}")
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
            f"the {2**30:,} that are"
        )
    if batch is not None:
        checks.whole(batch, "batch", least=1)
    return min(len(x), batch or max(1, min(64, _NUMBERS // numbers)))


def _run(
    network: Network, x: np.ndarray, side: int, device: str, dtype: str,
    record: Mapping[int, tuple[str, ...]],
) -> NetworkOutput:  # fmt: skip
    n = len(x)
    if n < side:  # filled up: a compiled program has one size
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
        pd.DataFrame(pairs, columns=list(_PAIRS)),
        pd.DataFrame(first, columns=list(_FIRST)).astype({"tie": bool}),
        meta,
    )


def _precision(meta: Mapping[str, Any]) -> str:
    kinds = set(meta["dtypes"].values())
    if kinds == {"float64"}:
        return f"float64: a tie is nearer to threshold than {meta['tie']:g}"
    which = ", ".join(f"{name} in {kind}" for name, kind in meta["dtypes"].items())
    return (
        f"{'float32' if len(kinds) == 1 else which}: a tie is nearer to threshold than "
        f"(step + {ROUNDINGS}) * 2**-23 of what the neuron has seen, for each device in float32"
    )


def _sentence(row: Any) -> str:
    what = f"a tie (< {row.tolerance:.2g})" if row.tie else f"NO tie (>= {row.tolerance:.2g})"
    return (
        f"sample {row.sample}, step {row.step}, layer {row.layer}, neuron {row.neuron}: "
        f"{row.variable} fires on {row.fires_on}; {row.distance_a:.3g} from threshold on {row.a}, "
        f"{row.distance_b:.3g} on {row.b}: {what}"
    )
