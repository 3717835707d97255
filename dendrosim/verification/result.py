"""The result of a comparison of devices, as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dendrosim.tables import aligned
from dendrosim.verification.differences import ROUNDINGS

_SHOWN = 5
PAIRS = ("a", "b", "layer", "model", "bins", "spikes", "differing", "inner", "samples")
FIRST = (
    "a", "b", "sample", "step", "layer", "neuron", "variable", "fires_on", "distance_a",
    "distance_b", "tolerance", "tie", "amplified",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Verification:
    """The result of a comparison of devices.

    Attributes
    ----------
    pairs
        One row per pair of devices ``a``, ``b`` and layer: ``bins`` (samples times steps times
        neurons), ``spikes`` on ``a``, the number of bins with ``differing`` spikes, the number of
        bins that differ only in an ``inner`` spike of the unit (such as ``S_C`` of LRMM), and the
        number of ``samples`` with differences.
    first
        One row per first difference: pair, ``sample``, ``step``, ``layer``, ``neuron``, the
        ``variable`` of the text that differs, the device that it ``fires_on``, its distance to
        threshold (left minus right side of the comparison in the text) on both devices, the
        ``tolerance`` and whether it is a ``tie``; ``amplified``: the neuron is unstable, and the
        tolerance is measured with the last bit of its input changed.
    meta
        Devices, ``dtypes`` (number type per device), ``tie``, samples, steps, neurons, and
        seconds per device.
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
        """Whether no bin differs, or all first differences are ties."""
        return self.equal or bool(len(self.first) and self.first["tie"].all())

    def text(self) -> str:
        """Return the tables and a summary sentence as text."""
        meta = self.meta
        lines = [
            f"{meta['samples']} sample(s) of {meta['steps']} steps, {meta['neuron_steps']:,} "
            f"neuron-steps, {_precision(meta)}"
        ]
        columns = {
            "devices": [f"{a} - {b}" for a, b in zip(self.pairs.a, self.pairs.b, strict=True)]
        }
        columns |= {name: list(self.pairs[name]) for name in PAIRS[2:]}
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
        """Return plain values for JSON."""
        return {
            "equal": self.equal, "explained": self.explained, "meta": dict(self.meta),
            "pairs": self.pairs.to_dict("records"), "first": self.first.to_dict("records"),
        }  # fmt: skip


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
    if row.amplified:
        what = f"a tie (< {row.tolerance:.2g}, to which this neuron amplifies a rounding)"
    return (
        f"sample {row.sample}, step {row.step}, layer {row.layer}, neuron {row.neuron}: "
        f"{row.variable} fires on {row.fires_on}; {row.distance_a:.3g} from threshold on {row.a}, "
        f"{row.distance_b:.3g} on {row.b}: {what}"
    )
