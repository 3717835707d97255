"""Comparison of models under one protocol: where a reduction agrees and where it fails.

`compare` simulates the models; `comparison` measures existing recordings.
"""

from __future__ import annotations

import os
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from dendrosim import checks
from dendrosim.comparison import protocol_measures, responses, scores
from dendrosim.comparison.files import as_json, write_folder
from dendrosim.comparison.scores import RECORDED
from dendrosim.current_clamp.doubts import check_window, found
from dendrosim.devices.execute import check_method
from dendrosim.errors import DendrosimError, DendrosimWarning
from dendrosim.model.model import Model
from dendrosim.model.parts import time_step
from dendrosim.model.toml import as_model
from dendrosim.simulation import neuron_axis
from dendrosim.simulation.grids import arranged
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.simulation.recording import Recording
from dendrosim.simulation.run import simulate, trace_step
from dendrosim.tables import aligned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dendrosim.current_clamp.recorded import ClampRecording


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Recordings of models under one protocol, and their measures.

    Attributes
    ----------
    recordings
        One per model; the first is the reference.
    protocol
        Protocol of all recordings.
    table
        One row per model, one column per measure with its unit.  Rates and bursts are counted in
        the protocol's measured window.  Errors are relative to the reference, which has none (nan).
    curves
        One row per model and neuron, and one per sweep of a real cell (as the model ``recorded``):
        the value of the protocol's grid, spikes, rate, bursts, latency.
    """

    recordings: tuple[Recording, ...]
    protocol: Protocol
    table: pd.DataFrame
    curves: pd.DataFrame

    def __repr__(self) -> str:
        """Short: models and protocol."""
        return f"<Comparison of {', '.join(self.names)} under {self.protocol.name}>"

    def __str__(self) -> str:
        return self.text()

    @property
    def names(self) -> list[str]:
        """Label of each model; the first is the reference."""
        return list(self.table.index)

    @property
    def grid(self) -> neuron_axis.NeuronAxis | None:
        """The grid of values that differ between the neurons, None for a single stimulus."""
        return neuron_axis.grid(self.protocol, self.recordings[0].n)

    @property
    def sweeps(self) -> pd.DataFrame | None:
        """Spikes per sweep of a recorded protocol, for the cell and each model, or None.

        They are counted in the measured window, as for every measure of a comparison.
        """
        if self.clamp is None:
            return None
        of = {str(name): rows for name, rows in self.curves.groupby("model", sort=False)}
        table = of[RECORDED][["sweep", "command (pA)"]].reset_index(drop=True)
        for name in (RECORDED, *self.names):
            table[name] = of[name]["spikes"].to_numpy()
        return table

    @property
    def clamp(self) -> ClampRecording | None:
        """The current-clamp recording of the protocol's recorded stimulus, or None."""
        return neuron_axis.clamp_recording(self.protocol, self.recordings[0].n)

    def text(self, width: int = 100) -> str:
        """Return the tables as text for a terminal, at most `width` columns wide."""
        start, stop = (f"{t * 1e3:g}" for t in self.protocol.window)
        title = self.protocol.title
        lines = [f"{self.protocol.name}: {title}" if title else self.protocol.name]
        lines += [f"Measured from {start} to {stop} ms{self._against()}.", ""]
        if self.clamp is not None and self.sweeps is not None:
            columns = {str(name): values.tolist() for name, values in self.sweeps.items()}
            lines += [*textwrap.wrap(f"Found: {found(self.clamp)}.", width), ""]
            heading = f"Spikes in each sweep from {start} to {stop} ms"
            lines += [heading, *aligned(columns, width, keys=2), ""]
        columns = {"": list(self.table.columns)}
        columns |= {str(name): self.table.loc[name].tolist() for name in self.names}
        return "\n".join([*lines, *aligned(columns, width), *self._without_impedance(width)])

    def _without_impedance(self, width: int) -> list[str]:
        """Return a line for each model without an impedance because all its neurons fire."""
        lines = []
        for name, recording in zip(self.names, self.recordings, strict=True):
            found = responses.impedances(recording, self.protocol)
            if found is not None and not found.linear.size:
                why = (
                    f"No impedance of {name}: it fires during the chirp, which is no linear answer."
                )
                lines += textwrap.wrap(why, width)
        return ["", *lines] if lines else []

    def _against(self) -> str:
        if len(self.names) == 1:
            return ""
        what = f"; errors against {self.names[0]}"
        if "coincidence factor" in self.table:
            what += f", coincidence within {protocol_measures.COINCIDENCE * 1e3:g} ms"
        return what

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; a missing value is None."""
        return as_json(self)

    def plot(self, path: str | os.PathLike | None = None) -> Figure:
        """Draw traces above, f-I curves and errors below; write a file if `path` is given.

        Raises
        ------
        DendrosimError
            If the file cannot be written or its ending is not that of an image format.
        """
        from dendrosim.comparison.figure import comparison_figure
        from dendrosim.figures.style import save_figure

        figure = comparison_figure(self)
        if path is not None:
            save_figure(figure, path)
        return figure

    def save(self, folder: str | os.PathLike) -> list[Path]:
        """Write tables, figure and recordings into a folder, each file atomically.

        Returns
        -------
        list of Path
            ``table.csv``, ``curves.csv``, ``table.json``, ``comparison.png`` and a netCDF file
            for each model, named after it.

        Raises
        ------
        DendrosimError
            If the folder cannot be created or written.
        """
        return write_folder(self, folder)


def compare(
    models: Sequence[Model | str | os.PathLike],
    protocol: Protocol,
    *,
    device: str = "cpp",
    dt: Any = None,
    method: str | None = None,
    threads: int = 1,
    record_dt: Any = None,
    progress: bool | None = None,
    seed: int | None = None,
    names: Sequence[str] | None = None,
    grids: str | None = None,
) -> Comparison:
    """Simulate models under one protocol and measure them.

    Parameters
    ----------
    models
        Models, names or paths; the first is the reference.
    protocol
        Protocol for all models, or its name or path.
    device, threads, progress
        As in `simulate`.
    dt, method
        Time step and method of the continuous models, by default each model's own; a discrete
        model keeps its step.
    record_dt
        Step of the traces, rounded to the nearest multiple of each model's step; near 0.1 ms by
        default.
    seed
        Seed of all Ornstein-Uhlenbeck noise, instead of the protocol's.
    names
        Labels of the models; their own names by default.
    grids
        ``"zip"`` or ``"cross"`` for several grids, as in `simulate`.

    Raises
    ------
    DendrosimError
        If there is no model, or if one does not fit the protocol.

    Examples
    --------
    >>> import dendrosim as ds
    >>> protocol = ds.load_protocol("constant").with_(amplitude="0.5", duration="100 ms")
    >>> models = [ds.load_model("lif"), ds.load_model("lif").with_(parameters={"beta": "0.9"})]
    >>> c = ds.compare(models, protocol, device="numpy", names=["fast", "slow"])
    >>> c.table["spikes"].to_dict()
    {'fast': 33, 'slow': 40}
    """
    if isinstance(models, str | os.PathLike | Model):
        models = [models]
    if not checks.is_row(models):
        raise DendrosimError(f"compare: models = {checks.short(models)} should be a list of models")
    loaded, protocol = [as_model(m) for m in models], as_protocol(protocol)
    labels = _labels([m.name for m in loaded], names)
    if method is not None:
        check_method(method)
    if seed is not None:
        protocol = protocol.seeded(seed)
    given = None if dt is None else time_step(dt, "dt")
    wanted = None if record_dt is None else float(time_step(record_dt, "record_dt"))
    recordings = []
    for model in loaded:
        discrete = model.kind == "discrete"
        step = model.dt if discrete or given is None else given
        every = trace_step(step, wanted)
        own, shown, _ = arranged(model, protocol, grids)
        recordings.append(
            simulate(
                own, shown, grids="zip", dt=step, method=None if discrete else method,
                record_dt=every, device=device, threads=threads, progress=progress, seed=seed,
            )
        )  # fmt: skip
    return comparison(recordings, shown, labels)


def comparison(
    recordings: Sequence[Recording], protocol: Protocol, names: Sequence[str] | None = None
) -> Comparison:
    """Measure recordings of one protocol; the first is the reference.

    Doubts about a recorded cell are issued as a `DendrosimWarning`: several steps but only one
    measured, peaks too slow for spikes, an implausible rate.

    Raises
    ------
    DendrosimError
        If there is no recording, or if the recordings have different numbers of neurons.
    """
    if not checks.is_row(recordings) or not all(isinstance(r, Recording) for r in recordings):
        raise DendrosimError(
            f"comparison: recordings = {checks.short(recordings)} should be a list of Recording"
        )
    protocol = as_protocol(protocol)
    names = _labels([r.meta["model"] for r in recordings], names)
    reference = recordings[0]
    for name, recording in zip(names, recordings, strict=True):
        if recording.n != reference.n:
            raise DendrosimError(
                f"{name} has {recording.n} neurons under {protocol.name} and {names[0]} has "
                f"{reference.n}: they cannot be compared neuron by neuron"
            )
    clamp = neuron_axis.clamp_recording(protocol, reference.n)
    if clamp is not None:
        check_window(clamp, protocol.window[1])
        for doubt in neuron_axis.clamp_doubts(protocol, reference.n):
            warnings.warn(doubt, DendrosimWarning, stacklevel=2)
    curves = scores.curve_table(recordings, protocol, names)
    table = scores.model_table(recordings, protocol, names, curves)
    return Comparison(tuple(recordings), protocol, table, curves)


def _labels(own: Sequence[str], names: Sequence[str] | None) -> list[str]:
    if not own:
        raise DendrosimError("compare: there is no model to compare")
    names = None if names is None else checks.texts(names, "compare: names")
    if names is not None and (len(names) != len(own) or len(set(names)) < len(own)):
        raise DendrosimError(f"compare: {len(own)} models need as many different names")
    if names is not None:
        return names
    before = [list(own[:k]).count(name) for k, name in enumerate(own)]
    return [f"{name} ({k + 1})" if k else name for name, k in zip(own, before, strict=True)]
