"""Conventions of counting: what of a layer is an operation, and what a network comes to.

- ``"text"``: every operation of the model's own text, see `dendrosim.energy.text_operations`.
  For LIF and LSTM-LIF it is the printed one (Zhang et al. 2023, Table 2), so that is not written
  a second time.
- ``"printed"``: for LRMM what its paper counts (eqs 34-39): recurrence as 3 n accumulates instead
  of 3 n^2, and all accumulates, for all four populations together, at a quarter of their price.
- ``"corrected"``: for LRMM the same terms with each population at its own size, dense recurrence,
  and accumulates at their price.

For every other model the three are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dendrosim.energy.text_operations import E_AC, E_MAC, Operations, step_operations
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.model.model import Model
from dendrosim.tables import aligned


@dataclass(frozen=True)
class Count:
    """Operations of a network in one step.

    Attributes
    ----------
    parts
        ``"input"``, ``"layer 0"``, ..., ``"readout"`` to operations; what was not asked for is not
        there.
    convention
        One of `CONVENTIONS`.
    """

    parts: Mapping[str, Operations]
    convention: str

    @property
    def total(self) -> Operations:
        """All parts together."""
        return sum(self.parts.values(), Operations())

    def nanojoules(self, e_ac: float = E_AC, e_mac: float = E_MAC) -> float:
        """Return the energy of one step; prices in picojoules."""
        return self.total.nanojoules(e_ac, e_mac)

    def text(self, e_ac: float = E_AC, e_mac: float = E_MAC) -> str:
        """Return a table for people."""
        return side_by_side({self.convention: self}, e_ac, e_mac)

    def to_json(self, e_ac: float = E_AC, e_mac: float = E_MAC) -> dict[str, Any]:
        """Return plain values for machines."""
        parts = {
            name: {"ac": o.ac, "mac": o.mac, "nanojoules": o.nanojoules(e_ac, e_mac)}
            for name, o in self.parts.items()
        }
        return {
            "convention": self.convention, "nanojoules": self.nanojoules(e_ac, e_mac),
            "parts": parts,
        }  # fmt: skip


class TextRule:
    """Everything that the text of the model does.

    Parameters
    ----------
    model
        A discrete model.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def synapses(self, events: float) -> Operations:
        """Return what spikes cause in the layer above: one accumulate for each target."""
        return Operations(ac=events)

    def recurrence(self, events: float, n: int, rate: float) -> Operations:
        """Return the same for the layer's own spikes."""
        return Operations(ac=events)

    def units(self, n: int, values: Mapping[str, Any], rates: Mapping[str, float]) -> Operations:
        """Return what the neurons themselves do."""
        return step_operations(self.model, values, rates) * n

    def readout(self, events: float) -> Operations:
        """Return what the linear readout of the last layer does."""
        return Operations(ac=events)


class CorrectedLrmm(TextRule):
    """Of the units only what the paper counts: a leak a neuron, and the four synapses inside."""

    def units(self, n: int, values: Mapping[str, Any], rates: Mapping[str, float]) -> Operations:
        """Return eqs 34 and 37 for n circuits of four neurons."""
        inside = rates["S_I"] + rates["S_M"] + 2 * rates["S_C"]
        return Operations(ac=inside, mac=4) * n


class PrintedLrmm(CorrectedLrmm):
    """Eqs 34-39 and 53: n neurons are four times the circuits, accumulates cost a quarter."""

    def recurrence(self, events: float, n: int, rate: float) -> Operations:
        """Return eq. 36, whether there is recurrence or not."""
        return Operations(ac=3 * (4 * n) * rate / 4)

    def readout(self, events: float) -> Operations:
        """Return eq. 53: a quarter, though there is no fourfold size to make up for."""
        return Operations(ac=events / 4)


CONVENTIONS: dict[str, Mapping[str, type[TextRule]]] = {
    "text": {},
    "printed": {"lrmm": PrintedLrmm},
    "corrected": {"lrmm": CorrectedLrmm},
}


def rule_of(model: Model, convention: str) -> TextRule:
    """Return how the operations of a model are counted.

    Raises
    ------
    DendrosimError
        If there is no such convention.
    """
    if convention not in CONVENTIONS:
        raise DendrosimError(
            f"convention = {convention!r}; {did_you_mean(str(convention), CONVENTIONS)}"
        )
    return CONVENTIONS[convention].get(model.name.partition(":")[0], TextRule)(model)


def side_by_side(counts: Mapping[str, Count], e_ac: float = E_AC, e_mac: float = E_MAC) -> str:
    """Return one table of a network counted in several conventions, the first with its operations.

    Parameters
    ----------
    counts
        Convention to what was counted; all of the same parts.
    e_ac, e_mac
        Picojoules an operation.
    """
    first = next(iter(counts.values()))
    rows = {**first.parts, "total": first.total}
    columns = {
        "part": list(rows),
        "AC": [f"{o.ac:,.2f}" for o in rows.values()],
        "MAC": [f"{o.mac:,.2f}" for o in rows.values()],
    }
    for name, count in counts.items():
        found = {**count.parts, "total": count.total}
        columns[f"nJ ({name})"] = [f"{found[p].nanojoules(e_ac, e_mac):,.4f}" for p in rows]
    return "\n".join(aligned(columns))
