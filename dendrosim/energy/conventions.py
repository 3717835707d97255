"""Conventions for counting the operations of a layer and of a network.

- ``"text"``: all operations in the text of the model, see `dendrosim.energy.text_operations`.
  For LIF and LSTM-LIF this equals the printed convention (Zhang et al. 2023, Table 2), so they
  need no separate rule.
- ``"printed"``: for LRMM the count of its paper (eqs 34-39): recurrence as 3 n accumulates instead
  of 3 n^2, and all accumulates of the four populations together, at a quarter of their energy.
- ``"corrected"``: for LRMM the same terms with the actual size of each population, dense
  recurrence, and accumulates at their full energy.

For every other model the three conventions are the same.
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
    """Operations of a network per step.

    Attributes
    ----------
    parts
        ``"input"``, ``"layer 0"``, ..., ``"readout"`` to operations; only the requested parts.
    convention
        One of `CONVENTIONS`.
    """

    parts: Mapping[str, Operations]
    convention: str

    @property
    def total(self) -> Operations:
        """Sum over all parts."""
        return sum(self.parts.values(), Operations())

    def nanojoules(self, e_ac: float = E_AC, e_mac: float = E_MAC) -> float:
        """Return the energy per step; energies per operation in picojoules."""
        return self.total.nanojoules(e_ac, e_mac)

    def text(self, e_ac: float = E_AC, e_mac: float = E_MAC) -> str:
        """Return a table as text."""
        return side_by_side({self.convention: self}, e_ac, e_mac)

    def to_json(self, e_ac: float = E_AC, e_mac: float = E_MAC) -> dict[str, Any]:
        """Return plain values for JSON."""
        parts = {
            name: {"ac": o.ac, "mac": o.mac, "nanojoules": o.nanojoules(e_ac, e_mac)}
            for name, o in self.parts.items()
        }
        return {
            "convention": self.convention, "nanojoules": self.nanojoules(e_ac, e_mac),
            "parts": parts,
        }  # fmt: skip


class TextRule:
    """Count all operations in the text of the model.

    Parameters
    ----------
    model
        A discrete model.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    def synapses(self, events: float) -> Operations:
        """Return the operations caused by spikes in the next layer: one accumulate per target."""
        return Operations(ac=events)

    def recurrence(self, events: float, n: int, rate: float) -> Operations:
        """Return the operations caused by the spikes of the layer itself."""
        return Operations(ac=events)

    def units(self, n: int, values: Mapping[str, Any], rates: Mapping[str, float]) -> Operations:
        """Return the operations inside the neurons."""
        return step_operations(self.model, values, rates) * n

    def readout(self, events: float) -> Operations:
        """Return the operations of the linear readout of the last layer."""
        return Operations(ac=events)


class CorrectedLrmm(TextRule):
    """Count only the paper's operations in units: one leak per neuron, four internal synapses."""

    def units(self, n: int, values: Mapping[str, Any], rates: Mapping[str, float]) -> Operations:
        """Return eqs 34 and 37 for n circuits of four neurons."""
        inside = rates["S_I"] + rates["S_M"] + 2 * rates["S_C"]
        return Operations(ac=inside, mac=4) * n


class PrintedLrmm(CorrectedLrmm):
    """Eqs 34-39 and 53: n is four times the number of circuits, accumulates cost a quarter."""

    def recurrence(self, events: float, n: int, rate: float) -> Operations:
        """Return eq. 36, with or without recurrence."""
        return Operations(ac=3 * (4 * n) * rate / 4)

    def readout(self, events: float) -> Operations:
        """Return eq. 53: also a quarter, although the size here is not multiplied by four."""
        return Operations(ac=events / 4)


CONVENTIONS: dict[str, Mapping[str, type[TextRule]]] = {
    "text": {},
    "printed": {"lrmm": PrintedLrmm},
    "corrected": {"lrmm": CorrectedLrmm},
}


def rule_of(model: Model, convention: str) -> TextRule:
    """Return the counting rule for a model in a convention.

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
    """Return one table with the counts of a network in several conventions.

    The operations are those of the first convention.

    Parameters
    ----------
    counts
        Convention to its count; all with the same parts.
    e_ac, e_mac
        Picojoules per operation.
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
