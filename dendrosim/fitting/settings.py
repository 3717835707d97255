"""The settings of a fit, kept in its folder, so that another fit is not mixed with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dendrosim.errors import DendrosimError
from dendrosim.files import replacing
from dendrosim.fitting.costs import Cost
from dendrosim.fitting.free import Free
from dendrosim.fitting.responses import Runs
from dendrosim.fitting.targets import Target, digest
from dendrosim.model.model import Model
from dendrosim.model.quantities import describe
from dendrosim.simulation.run_description import describe_stimuli
from dendrosim.sweeps.differences import differences

#: 2: candidates are sampled as their target, and the spikes of a recording are timed as theirs.
FORMAT = 2


def settings_of(
    model: Model, free: Sequence[Free], targets: Sequence[Target], cost: Cost,
    seeds: Sequence[int], optimiser: str, population: int, generations: int, runs: Runs,
) -> dict[str, Any]:  # fmt: skip
    """Return everything that affects the search, as plain values."""
    return {
        "format": FORMAT, "model": model.name, "model values": model.hash[:16],
        "data": digest(targets), "protocols": [t.name for t in targets],
        "windows": [list(t.protocol.window) for t in targets],
        "stimuli": [describe_stimuli(t.protocol) for t in targets],
        "free": {one.key: one.text for one in free}, "cost": dict(cost.weights),
        "features": list(cost.features), "spread": dict(sorted(cost.spread.items())),
        "optimiser": optimiser, "population": population, "generations": generations,
        "seeds": list(seeds), "device": runs.device,
        "method": runs.method, "dt": None if runs.dt is None else describe(runs.dt),
        "dtype": runs.dtype,
        "versions": {name: version(name) for name in ("dendrosim", "brian2", "numpy", "cma")},
    }  # fmt: skip


def check_folder(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write the settings of a new fit, or refuse a folder with those of another one.

    Raises
    ------
    DendrosimError
        If the folder holds another fit, candidates without settings, or files of something else.
    """
    path = folder / "settings.json"
    wanted = json.loads(json.dumps(meta))
    if not path.is_file():
        there = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
        if any(name.startswith("candidates_") for name in there):
            raise DendrosimError(
                f"{folder} holds candidates of a fit, but not its settings.json, so that their "
                "ranges are not known; give another folder"
            )
        if there:
            raise DendrosimError(
                f"{folder} holds {there[0]}, which is not of a fit; give a new or an empty folder"
            )
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(wanted, indent=2) + "\n")
        return
    try:
        there = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DendrosimError(f"{path} is not the settings of a fit ({error})") from None
    # more generations or seeds go on with the same candidates
    free = ("generations", "seeds")
    fixed = [key for key in wanted if key not in free]
    found = list(
        differences({key: there.get(key) for key in fixed}, {key: wanted[key] for key in fixed})
    )
    if found:
        raise DendrosimError(f"{folder} holds another fit: {'; '.join(found)}. Give another folder")
