"""A protocol: duration, stimuli and measured window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity, second

from dendrosim import checks, shelves
from dendrosim.errors import DendrosimError, at
from dendrosim.model.model import USUAL_INPUTS
from dendrosim.model.parts import time_step
from dendrosim.model.quantities import describe, quantity
from dendrosim.pickling import Pickled
from dendrosim.simulation.stimuli import Stimulus, changed_stimuli
from dendrosim.simulation.stimulus_options import read_option


@dataclass(frozen=True, init=False, eq=False)
class Protocol(Pickled):
    """The stimulation of a model.

    Parameters
    ----------
    duration
        Text (``"1500 ms"``) or quantity; None for the duration of the recorded stimulus.
    stimuli
        Their currents add up; a place without a stimulus has no current.
    measure
        ``start`` and ``stop`` of the window in which spikes, rates and bursts are counted, see
        `time_grid.in_window`.  The default is the whole run; for a recorded stimulus, it is from
        the first to the last sample in which the command of any sweep differs from its holding
        value.
    title, description, name, source
        For users: title, description, name on the shelf and path of the file.
    grids
        ``"zip"`` pairs the values of several grids.  ``"cross"`` takes every combination; the
        first grid varies slowest.  None if there is one grid, or if `simulate` sets it.

    Raises
    ------
    DendrosimError
        If a time is not above 0, or if two grids that are not crossed have different lengths.
    """

    given_duration: Quantity | None
    stimuli: tuple[Stimulus, ...]
    given_measure: Mapping[str, Quantity]
    title: str
    description: str
    name: str
    source: str
    grids: str | None

    def __init__(
        self,
        duration: Any = None,
        stimuli: Sequence[Stimulus] = (),
        measure: Mapping[str, Any] | None = None,
        title: str = "",
        description: str = "",
        name: str = "protocol",
        source: str = "",
        grids: str | None = None,
    ) -> None:
        told = {"title": title, "description": description, "name": name, "source": source}
        told = {key: checks.text(value, f"protocol: {key}") for key, value in told.items()}
        with at(source or name):
            fields = _fields(duration, stimuli, measure, grids)
        for attribute, value in {**fields, **told}.items():
            object.__setattr__(self, attribute, value)
        if not any(stimulus.shape == "recorded" for stimulus in self.stimuli):
            _ = self.window, self.sizes  # refuse an impossible combination at once

    @property
    def duration(self) -> Quantity:
        """Given duration; without one, the duration of a sweep of the recorded stimulus."""
        if self.given_duration is not None:
            return self.given_duration
        seconds = [s.played.duration for s in self.stimuli if s.shape == "recorded"]
        return Quantity(max(seconds), dim=second.dim)

    @property
    def window(self) -> tuple[float, float]:
        """Start and stop of the measured window in seconds.

        Raises
        ------
        DendrosimError
            If the window does not lie in the protocol.
        """
        end = float(self.duration)
        default = _driven(self.stimuli, end)
        start, stop = (
            float(self.given_measure.get(key, value))
            for key, value in zip(("start", "stop"), default, strict=True)
        )
        if not 0 <= start < stop <= end * (1 + 1e-12):
            raise DendrosimError(
                f"{self.source or self.name}: the measured window {start:g} s to {stop:g} s does "
                f"not lie in the protocol of {describe(self.duration)}"
            )
        return start, stop

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each grid, by ``stimuli.k.key``; all are equal, except for crossed grids.

        Raises
        ------
        DendrosimError
            If two grids that are not crossed have different lengths.
        """
        sizes = {
            f"stimuli.{k}.{key}": size
            for k, stimulus in enumerate(self.stimuli)
            for key, size in stimulus.sizes.items()
            if size > 1
        }
        if len(set(sizes.values())) > 1 and self.grids != "cross":
            grids = ", ".join(f"{key} has {size}" for key, size in sizes.items())
            raise DendrosimError(
                f"{self.source or self.name}: grids differ in length: {grids}; "
                "grids = 'cross' takes every combination"
            )
        return sizes

    @property
    def size(self) -> int:
        """Number of different stimulations: the length of the grids, 1 without grids."""
        return max(self.sizes.values(), default=1)

    def grids_given(self) -> list[tuple[str, Quantity]]:
        """Return the name, such as ``"stimuli.0.amplitude"``, and the values of each grid."""
        found = []
        for name in self.sizes:
            _, k, key = name.split(".")
            found.append((name, self.stimuli[int(k)].grid(key)))
        return found

    @property
    def grid(self) -> tuple[str, Quantity] | None:
        """Key and values of the first grid, the x axis of an f-I curve; None without a grid."""
        for name, values in self.grids_given():
            key = name.rpartition(".")[2]
            return {"sweeps": "sweep"}.get(key, key), values
        return None

    def current(
        self, place: str, times: np.ndarray, dt: float, n: int = 1, in_ampere: bool = False,
        share: float = 1.0,
    ) -> np.ndarray:  # fmt: skip
        """Evaluate the current into a place.

        Parameters
        ----------
        place
            ``"soma"``, ``"dendrite"`` or another place of a model.
        times
            Seconds, shape (times,).
        dt
            Time step of the simulation in seconds; edges of stimuli fall on it.
        n
            Neurons per point of the grid.
        in_ampere
            Whether the model's input is in ampere.  A recorded current is then not divided by its
            area.
        share
            Share of the cell's membrane to which a density at this place refers (`Model.shares`).
            A recorded current is divided by it.

        Returns
        -------
        ndarray
            Shape (times, neurons), SI units.
        """
        neurons = self.size * n
        total = np.zeros((len(times), neurons))
        for stimulus, stream in zip(self.stimuli, self.streams, strict=True):
            if place in {USUAL_INPUTS.get(into, into) for into in stimulus.into}:
                own = stimulus.current(times, dt, float(self.duration), neurons, stream, in_ampere)
                total += own / share if stimulus.shape == "recorded" else own
        return total

    @property
    def streams(self) -> tuple[int, ...]:
        """Number of noise stimuli before each stimulus; equal seeds then give different noise."""
        noisy = [stimulus.shape == "ou" for stimulus in self.stimuli]
        return tuple(sum(noisy[:k]) for k in range(len(noisy)))

    def seeded(self, seed: int | Sequence[int]) -> Protocol:
        """Return a copy whose noise has this seed, or one seed per point.

        Raises
        ------
        DendrosimError
            If a seed is not a whole number from 0, or if it would replace a grid of seeds.
        """
        noisy = [stimulus for stimulus in self.stimuli if stimulus.shape == "ou"]
        with at(self.source or self.name):
            read_option("seed", seed)
            for stimulus in noisy:
                own = stimulus.options["seed"]
                if isinstance(own, list) and own != seed:
                    raise DendrosimError(
                        f"seed = {checks.short(seed)} would replace the grid of seeds {own} of "
                        "the noise; give one of them"
                    )
        return self.with_(seed=seed) if noisy else self

    def with_(
        self, *, duration: Any = None, measure: Any = None,
        stimuli: Mapping[int, Mapping[str, Any]] | None = None, grids: str | None = None,
        **values: Any,
    ) -> Protocol:  # fmt: skip
        """Return a copy with another duration or window, or with other values of its stimuli.

        Parameters
        ----------
        duration, measure, grids
            As in `Protocol`.
        stimuli
            Number of a stimulus, from 0, to new values of that stimulus.
        values
            Values such as ``amplitude="1 uA/cm**2"`` or ``into="dendrite"``; each is set in every
            stimulus that has it.

        Raises
        ------
        DendrosimError
            If no stimulus has such a value, or if the given stimulus does not have it.
        """
        own = {} if stimuli is None else stimuli
        changed = changed_stimuli(self.stimuli, own, values, self.source or self.name)
        return Protocol(
            duration=self.given_duration if duration is None else duration,
            stimuli=changed,
            measure=self.given_measure if measure is None else measure,
            title=self.title,
            description=self.description,
            name=self.name,
            source=self.source,
            grids=self.grids if grids is None else grids,
        )


def _fields(
    duration: Any, stimuli: Any, measure: Mapping[str, Any] | None, grids: Any
) -> dict[str, Any]:
    """Check the arguments of a protocol and return its fields."""
    stimuli = _listed(stimuli)
    if grids is not None and (not isinstance(grids, str) or grids not in ("zip", "cross")):
        raise DendrosimError(f"grids = {grids!r} should be 'zip' or 'cross'")
    if duration is None and not any(stimulus.shape == "recorded" for stimulus in stimuli):
        raise DendrosimError("the key 'duration' is missing")
    return {
        "given_duration": None if duration is None else time_step(duration, "duration"),
        "stimuli": stimuli,
        "given_measure": _window({} if measure is None else measure),
        "grids": grids,
    }


def _driven(stimuli: Sequence[Stimulus], end: float) -> tuple[float, float]:
    """Return the default measured window of a protocol."""
    windows = [s.played.driven for s in stimuli if s.shape == "recorded"]
    # another stimulus also drives the neuron, so the window of the command is not sufficient
    if len(windows) < len(stimuli) or not windows:
        return 0.0, end
    start, stop = min(w[0] for w in windows), min(end, max(w[1] for w in windows))
    return (start, stop) if start < stop else (0.0, end)


def _window(measure: Mapping[str, Any]) -> dict[str, Quantity]:
    """Return start and stop of the measured window, if they are given."""
    with at("measure"):
        shelves.check_keys(measure, _MEASURE)
    window = {key: quantity(value, f"measure.{key}", like=second) for key, value in measure.items()}
    for key, value in window.items():
        if value.ndim:
            raise DendrosimError(f"measure.{key} cannot be a grid")
    return window


def _listed(stimuli: Any) -> tuple:
    """Return the stimuli as a tuple; the position of a stimulus is its number."""
    unordered = isinstance(stimuli, str | bytes | Mapping | Set | np.ndarray | type)
    if unordered or not isinstance(stimuli, Iterable):
        raise DendrosimError(f"stimuli = {checks.short(stimuli)} is not a list of stimuli")
    listed = tuple(stimuli)
    for stimulus in listed:
        if not isinstance(stimulus, Stimulus):
            raise DendrosimError(f"{stimulus!r} is not a Stimulus")
    return listed


_MEASURE = {"start": (str, Quantity), "stop": (str, Quantity)}
