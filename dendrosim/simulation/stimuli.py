"""A stimulus: a shape of current, its values and its target places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim import checks
from dendrosim.devices.signals import Sampled
from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.model.expressions import Expression
from dendrosim.model.quantities import quantity
from dendrosim.pickling import Pickled
from dendrosim.simulation.shapes import COMMAND, SHAPES, WINDOW, spread
from dendrosim.simulation.stimulus_options import SPIKE_RULE, read_places, read_values
from dendrosim.time_grid import sample_at, samples_over

MAX_SAMPLES = 200_000_000


#: The given seed of noise, its stream, and the number of the noise; None for common noise.
Seed = tuple[int, int, int | None]


@dataclass(frozen=True, init=False, eq=False)
class Stimulus(Pickled):
    """A current into one or more places of a model.

    Parameters
    ----------
    into
        ``"soma"``, ``"dendrite"``, the variable of an input (``"I_s"``), or a list of them.
    shape
        A name in `SHAPES`.
    values
        Values of the shape, as quantities or text with units, and ``start`` and ``stop`` (whole
        protocol by default).  A grid has one value per neuron.  For ``ou``: ``seed`` (a list is a
        grid) and ``independent`` (separate noise for each neuron; a list gives each neuron the
        number of its noise, and equal numbers share it).  For ``recorded``: ``file``,
        ``sweeps``, the name or number of the ``channel`` of the potential and of the
        ``command_channel``, and the definition of a spike: ``spike_slope``, ``spike_peak``,
        ``spike_height``.
        Two ``ou`` stimuli of a protocol have different noise, even with the same seed.  For the
        same noise into two places, list both in ``into`` of one stimulus.

    Raises
    ------
    DendrosimError
        If a value is invalid; the message names the key, the value and what is valid.
    """

    into: tuple[str, ...]
    shape: str
    values: Mapping[str, Quantity]
    options: Mapping[str, Any]

    def __init__(self, into: Any, shape: str, *, where: str = "stimulus", **values: Any) -> None:
        with at(where):
            places = read_places(into, shape)
            result, options = read_values(shape, values)
        object.__setattr__(self, "into", places)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "values", MappingProxyType(result))
        object.__setattr__(self, "options", MappingProxyType(options))

    def with_(self, where: str = "stimulus", **values: Any) -> Stimulus:
        """Return a copy with other values (and ``into``)."""
        for key in values.keys() - {*self.keys}:
            hint = did_you_mean(key, self.keys)
            raise DendrosimError(f"{where}: {key} is not a key of {self.shape}; {hint}")
        into = values.pop("into", self.into)
        new = Stimulus(into, self.shape, where=where, **{**self.values, **self.options, **values})
        if "played" in self.__dict__ and _same_sweeps(self, new):
            new.__dict__["played"] = self.played  # not read again from the file
        return new

    def accepts(self, key: str) -> bool:
        """Whether `key` is a value or an option of this shape."""
        return key in self.keys

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of all its values and options."""
        return ("into", "start", "stop", *SHAPES[self.shape].values, *self.options)

    def expression(self, in_ampere: bool) -> Expression:
        """Return the expression of the shape, for an input in ampere or in another unit."""
        whole = self.shape == "recorded" and (in_ampere or "area" not in self.values)
        return (COMMAND if whole else SHAPES[self.shape]).expression

    @cached_property
    def recording(self) -> Any:
        """The `ClampRecording` of a ``recorded`` stimulus, None for other shapes."""
        if self.shape != "recorded":
            return None
        recording, columns = self.played, self.columns
        if len(columns) == recording.command.shape[1]:
            return recording
        return replace(
            recording,
            command=recording.command[:, columns],
            voltage=recording.voltage[:, columns],
        )

    @cached_property
    def played(self) -> Any:
        """The `ClampRecording` of a ``recorded`` stimulus, with each of its sweeps once."""
        from dendrosim.current_clamp.recorded import read_abf
        from dendrosim.measures.spike_detection import DEFAULT

        if not self.options["file"]:
            raise DendrosimError(
                "a recorded stimulus needs the file of a recording (--recording FILE)"
            )
        given = {key: v for key, v in self.options.items() if v is not None and "channel" in key}
        rule = {
            name: float(quantity(self.options[key]))
            for key, (name, _) in SPIKE_RULE.items()
            if self.options[key] is not None
        }
        if rule:
            given["rule"] = replace(DEFAULT, **rule)
        sweeps = self.options["sweeps"]
        once = None if sweeps is None else list(dict.fromkeys(sweeps))
        return read_abf(self.options["file"], once, **given)

    @property
    def sweep_numbers(self) -> list[int]:
        """Numbers of the sweeps of a ``recorded`` stimulus in its file."""
        sweeps = self.options["sweeps"]
        return list(range(self.played.command.shape[1]) if sweeps is None else sweeps)

    @property
    def columns(self) -> list[int]:
        """For each sweep of a ``recorded`` stimulus, its column in `played`."""
        numbers = self.sweep_numbers
        place = {sweep: k for k, sweep in enumerate(dict.fromkeys(numbers))}
        return [place[sweep] for sweep in numbers]

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the grids, by key; several sweeps of a recorded stimulus are also a grid."""
        sizes = {key: value.size for key, value in self.values.items() if value.ndim}
        if isinstance(self.options.get("seed"), list):
            sizes["seed"] = len(self.options["seed"])
        if self.shape == "recorded" and len(self.columns) > 1:
            sizes["sweeps"] = len(self.columns)
        return sizes

    def grid(self, key: str) -> Quantity:
        """Return the values of a grid; `key` is one of `sizes`."""
        if key == "sweeps":
            value = self.sweep_numbers
        else:
            value = self.values.get(key, self.options.get(key))
        return value if isinstance(value, Quantity) else quantity(list(value))

    def samples(self, duration: float, neurons: int, stream: int = 0) -> Sampled | None:
        """Return the sampled signal of this shape, or None.

        Parameters
        ----------
        duration
            Seconds.
        neurons
            Number of columns if each neuron has its own signal.
        stream
            Index of the sequence of random numbers of the seed; see `Protocol.streams`.

        Returns
        -------
        Sampled
            With one column per neuron, or for ``recorded`` one per different sweep, see `columns`.
        """
        if self.shape == "recorded":
            command = self.played.command[: samples_over(duration, self.played.dt)]
            return Sampled(command, self.played.dt, of_neurons=False)
        if self.shape != "ou":
            return None
        dt, tau = float(self.values["sample"]), float(self.values["tau"])
        seeds = self._seeds(neurons, stream)
        columns = len(seeds)
        if not duration / dt * columns < MAX_SAMPLES:
            raise DendrosimError(
                f"noise of {columns} neuron(s) over {duration:g} s at sample = {dt:g} s has more "
                f"than {MAX_SAMPLES:,} values; take a longer sample"
            )
        steps = samples_over(duration, dt)
        noise = np.stack([_generator(s).standard_normal(steps) for s in seeds], axis=1)
        # Exact update of a stationary process: x' = a x + sqrt(1 - a^2) xi (Gillespie 1996)
        from scipy.signal import lfilter

        decay = np.exp(-dt / tau)
        noise[1:] *= np.sqrt(1 - decay**2)
        path = lfilter([1.0], [1.0, -decay], noise, axis=0)
        own = self.options["independent"] or columns > 1
        if isinstance(own, list) and columns < neurons:
            return Sampled(path, dt, of_neurons=False)
        return Sampled(spread(path, neurons) if own else path[:, 0], dt)

    def columns_of(self, neurons: int) -> list[int]:
        """Return for each neuron its column in `samples`, if these are not one per neuron."""
        if self.shape == "recorded":
            return self.columns
        place = {seed: k for k, seed in enumerate(self._seeds(neurons, 0))}
        return [place[seed] for seed in self._numbered(neurons, 0)]

    def _seeds(self, neurons: int, stream: int) -> list[Seed]:
        """Return the seeds of the noise: one in all, one per point, or one per neuron.

        The seed of a neuron depends on its given seed and its number, not on the other neurons.
        """
        given, independent = self.options["seed"], self.options["independent"]
        points = given if isinstance(given, list) else [given]
        if not independent:
            return [(seed, stream, None) for seed in points]
        if isinstance(independent, list):
            return list(dict.fromkeys(self._numbered(neurons, stream)))
        repeats = neurons // len(points)
        return [(seed, stream, k) for seed in points for k in range(repeats)]

    def _numbered(self, neurons: int, stream: int) -> list[Seed]:
        """Return the seed of each neuron whose noise has a number."""
        given, numbers = self.options["seed"], self.options["independent"]
        points = given if isinstance(given, list) else [given]
        if len(numbers) != neurons:
            raise DendrosimError(
                f"independent has the numbers of {len(numbers)} neuron(s), but {neurons} run"
            )
        repeats = neurons // len(points)
        return [(points[i // repeats], stream, number) for i, number in enumerate(numbers)]

    def current(
        self, times: np.ndarray, dt: float, duration: float, neurons: int, stream: int = 0,
        in_ampere: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Return the current at `times` (seconds), shape (times, neurons), in SI units."""
        times = np.asarray(times, dtype=float)[:, None]
        values = {key: spread(np.asarray(v)[None], neurons) for key, v in self.values.items()}
        values |= {"t": times, "dt": np.asarray(dt), "amp": np.asarray(1.0)}
        values.setdefault("stop", np.array([[duration]]))
        sampled = self.samples(duration, neurons, stream)
        if sampled is not None:
            signal = sampled.values
            signal = signal[sample_at(times[:, 0], sampled.dt, len(signal))]
            if signal.ndim == 2 and not sampled.of_neurons:
                signal = spread(signal[:, self.columns_of(neurons)], neurons)
            values["samples"] = signal if signal.ndim == 2 else signal[:, None]
        values["gate"] = WINDOW(values)
        result = self.expression(in_ampere)(values)
        return np.broadcast_to(result, (len(times), neurons))


def _generator(seed: Seed) -> np.random.Generator:
    given, stream, number = seed
    own = () if number is None else (number,)
    return np.random.default_rng(np.random.SeedSequence([given, stream], spawn_key=own))


def _same_sweeps(one: Stimulus, other: Stimulus) -> bool:
    """Whether two recorded stimuli play the same sweeps of a file, perhaps repeated."""
    a, b = ({k: v for k, v in s.options.items() if k != "sweeps"} for s in (one, other))
    first, second = (
        None if s.options["sweeps"] is None else list(dict.fromkeys(s.options["sweeps"]))
        for s in (one, other)
    )
    every = first is None and second == list(range(one.played.command.shape[1]))
    return a == b and (first == second or every)


def changed_stimuli(
    stimuli: Sequence[Stimulus], own: Mapping[int, Mapping[str, Any]], values: Mapping[str, Any],
    where: str,
) -> list[Stimulus]:  # fmt: skip
    """Return changed stimuli: `values` for every stimulus that has them, `own` for one each.

    Raises
    ------
    DendrosimError
        If no stimulus has such a value, or if the given stimulus does not have it.
    """
    with at(where):
        _check_changes(stimuli, own, values)
        changed = [
            s.with_(where, **{key: v for key, v in values.items() if s.accepts(key)})
            for s in stimuli
        ]
        for k, new in own.items():
            changed[k] = changed[k].with_(f"stimuli.{k}", **new)
    return changed


def _check_changes(
    stimuli: Sequence[Stimulus], own: Mapping[int, Mapping[str, Any]], values: Mapping[str, Any]
) -> None:
    if not isinstance(own, Mapping):
        raise DendrosimError(
            f"stimuli = {checks.short(own)} should map numbers of stimuli to values"
        )
    for k, new in own.items():
        if not isinstance(new, Mapping) or not all(isinstance(key, str) for key in new):
            raise DendrosimError(f"stimuli.{k} = {checks.short(new)} should map names to values")
        if not isinstance(k, int) or isinstance(k, bool) or k not in range(len(stimuli)):
            numbers = did_you_mean("", map(str, range(len(stimuli))))
            raise DendrosimError(f"there is no stimulus {k!r}; {numbers}")
        if reserved := new.keys() & {"where", "self"}:  # arguments in Python, not values
            raise DendrosimError(f"stimuli.{k} has no {reserved.pop()!r}")
    known = {key for key in values if any(s.accepts(key) for s in stimuli)}
    for key in values.keys() - known:
        keys = {k for s in stimuli for k in s.keys}
        raise DendrosimError(f"no stimulus has a {key!r}; {did_you_mean(key, keys)}")
