"""Loading of protocols from the shelf and from files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dendrosim import shelves
from dendrosim.errors import DendrosimError, at
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.stimuli import Stimulus
from dendrosim.simulation.stimulus_checks import check_values

_TABLE = {"title": str, "description": str, "duration": str, "stimuli": list, "measure": dict,
          "grids": str}  # fmt: skip


def as_protocol(value: Any) -> Protocol:
    """Return a protocol; a name or path is loaded.

    Raises
    ------
    DendrosimError
        If the value is neither a protocol nor a name or path, or if there is no such protocol.
    """
    return shelves.loaded(value, Protocol, load_protocol, "a protocol, nor the name or path of one")


def load_protocol(name: str | os.PathLike) -> Protocol:
    """Read a protocol from the shelf or from a file.

    Parameters
    ----------
    name
        A name (``"constant"``) or the path of a TOML file.

    Raises
    ------
    DendrosimError
        If there is no such protocol, or if the file is invalid; the message names the file, the
        key and what is valid.
    """
    path = shelves.find(name, "protocols")
    return protocol_from_table(shelves.read_toml(path), str(path), path.stem)


def protocol_from_table(table: Mapping[str, Any], source: str, name: str) -> Protocol:
    """Create a protocol from the contents of a TOML file."""
    with at(source):
        table = dict(shelves.check_keys(table, _TABLE))
        stimuli = [_stimulus(f"stimuli.{k}", e) for k, e in enumerate(table.pop("stimuli", []))]
        return Protocol(stimuli=stimuli, name=name, source=source, **table)


def _stimulus(place: str, entry: Any) -> Stimulus:
    if not isinstance(entry, dict) or not {"into", "shape"} <= entry.keys():
        raise DendrosimError(f"{place} needs the keys 'into' and 'shape'")
    with at(place):
        for key in entry.keys() & {"where", "self"}:  # arguments in Python, not keys of a file
            raise DendrosimError(f"unknown key {key!r}")
        stimulus = Stimulus(where=place, **entry)
        check_values(stimulus)
    return stimulus
