"""The axes of a sweep: which values of a model or protocol vary, and over what.

An axis is a list of values (``"linspace(1, 15, 41) mS/cm**2"``, ``["soma", "dendrite"]``) or a
distribution (``"uniform(1, 15) mS/cm**2"``, ``"loguniform(0.1, 10) uA/cm**2"``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity

from dendrosim import checks
from dendrosim.errors import DendrosimError
from dendrosim.model.gates import check_gate
from dendrosim.model.model import Model
from dendrosim.model.quantities import display_unit, parse_unit, quantity, unit_text, with_dim
from dendrosim.model.toml import as_model
from dendrosim.pickling import Pickled
from dendrosim.simulation.protocol import Protocol
from dendrosim.simulation.protocol_files import as_protocol
from dendrosim.simulation.value_names import full_name

_DISTRIBUTION = re.compile(r"(uniform|loguniform)\(([^(),]*),([^(),]*)\) ?\*? ?(.*)")
#: Axes whose values are whole models and protocols.
WHOLE = ("model", "protocol")
#: Values of an Ornstein-Uhlenbeck stimulus that are the same for all neurons of a run.
_OF_THE_RUN = ("tau", "sample")


@dataclass(frozen=True, eq=False)
class Axis(Pickled):
    """A value that differs between the points of a sweep.

    Attributes
    ----------
    key
        Full name, as for ``--set``: ``"parameters.g_c"``, ``"stimuli.0.amplitude"``; or
        ``"model"``, ``"protocol"``.
    values
        The listed values: a quantity, shape (values,), or a tuple of words, whole numbers, models
        or protocols.  None for a distribution.
    bounds
        Lowest and highest value of a distribution; None for a list.
    log
        Whether the logarithm of the value is uniformly distributed.
    """

    key: str
    values: Quantity | tuple | None = None
    bounds: Quantity | None = None
    log: bool = False

    @property
    def of_neurons(self) -> bool:
        """Whether the value may differ between the neurons of one run."""
        kind, _, name = self.key.partition(".")
        if kind in ("parameters", "initial"):
            return True
        last = name.rpartition(".")[2]
        quantities = self.bounds is not None or isinstance(self.values, Quantity)
        return kind == "stimuli" and (last == "seed" or (quantities and last not in _OF_THE_RUN))

    @property
    def source(self) -> Any:
        """The listed values, or the bounds of a distribution."""
        return self.bounds if self.values is None else self.values

    @property
    def unit(self) -> str:
        """SI unit; ``"1"`` for a number without one, ``""`` for words, models and protocols."""
        return unit_text(self.source.dim) if isinstance(self.source, Quantity) else ""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The listed values as words; None for numbers."""
        if self.bounds is not None or isinstance(self.values, Quantity):
            return None
        if self.key not in WHOLE:
            return tuple(map(str, self.source))
        names = [value.name for value in self.source]
        return tuple(
            name if names.count(name) == 1 else f"{name} ({k + 1})" for k, name in enumerate(names)
        )

    @property
    def text(self) -> str:
        """The axis as text, equal for equal axes."""
        if self.bounds is not None:
            low, high = (float(value) for value in np.asarray(self.bounds))
            return f"{'log' if self.log else ''}uniform({low:.14g}, {high:.14g}) {self.unit}"
        if isinstance(self.values, Quantity):  # 14 digits: another unit may round differently
            return f"[{', '.join(f'{v:.14g}' for v in np.asarray(self.values))}] {self.unit}"
        return repr(list(self.labels or ()))

    @property
    def shown(self) -> str:
        """The axis for a message: as a user would write it."""
        if self.bounds is None:
            return checks.short(self.values if self.labels is None else list(self.labels))
        unit = display_unit(self.bounds)
        low, high = np.asarray(self.bounds, dtype=float) / float(parse_unit(unit))
        kind = f"{'log' if self.log else ''}uniform({low:.6g}, {high:.6g})"
        return kind if unit == "1" else f"{kind} {unit}"

    def at(self, u: np.ndarray) -> np.ndarray:
        """Return the values at quantiles from 0 to 1: numbers in SI units, or positions in a list.

        A list is drawn from with equal chances.
        """
        if self.bounds is None:
            count = len(self.source)
            place = np.minimum((u * count).astype(int), count - 1)
            return np.asarray(self.values)[place] if isinstance(self.values, Quantity) else place
        low, high = np.asarray(self.bounds, dtype=float)
        return low * (high / low) ** u if self.log else low + (high - low) * u

    @property
    def listed(self) -> np.ndarray:
        """The listed values: numbers in SI units, or their positions."""
        own = self.source
        return np.asarray(own) if isinstance(own, Quantity) else np.arange(len(own))

    def given(self, values: np.ndarray) -> Any:
        """Return numbers or positions as what a model, stimulus or protocol takes."""
        if isinstance(self.source, Quantity):
            return with_dim(np.asarray(values, dtype=float), self.source.dim)
        return [self.source[int(k)] for k in values]


def read_axes(
    axes: Mapping[str, Any], model: Model, protocol: Protocol, what: str = "axes: "
) -> tuple[Axis, ...]:
    """Read the axes of a sweep.

    Parameters
    ----------
    axes
        Name to values: text, a quantity, a list or an array.
    model, protocol
        Owners of the values.
    what
        Beginning of an error message.

    Raises
    ------
    DendrosimError
        If a name is unknown, or if its values do not suit the model and the protocol.
    """
    if not isinstance(axes, Mapping) or not axes:
        raise DendrosimError(
            f"{what.rstrip(': ')} = {checks.short(axes)} should map names to values, such as "
            "{'g_c': 'linspace(1, 15, 41) mS/cm**2'}"
        )
    whole = {key: _whole(key, axes[key], what) for key in WHOLE if key in axes}
    models = whole["model"].source if "model" in whole else (model,)
    protocols = whole["protocol"].source if "protocol" in whole else (protocol,)
    found: dict[str, Axis] = {}
    for name, values in axes.items():
        axis = whole.get(name) or _axis(str(name), values, models, protocols, what)
        if axis.key in found:
            raise DendrosimError(f"{what}{axis.key} is given twice")
        found[axis.key] = axis
    return tuple(found.values())


def _whole(key: str, values: Any, what: str) -> Axis:
    """Return an axis of models or protocols."""
    values = words_of(values)
    if isinstance(values, str | os.PathLike) or not checks.is_row(values) or not len(values):
        raise DendrosimError(
            f"{what}{key} = {checks.short(values)} should be a list of names or paths"
        )
    load = as_model if key == "model" else as_protocol
    return Axis(key, tuple(load(value) for value in values))


def _axis(
    name: str, values: Any, models: Sequence[Model], protocols: Sequence[Protocol], what: str
) -> Axis:
    key = full_name(name, models[:1], protocols[0], what)
    for model in models:  # a value that one of them lacks would be ignored there
        for protocol in protocols:
            full_name(key, [model], protocol, what)
    where = f"{what}{key}"
    match = _DISTRIBUTION.fullmatch(" ".join(values.split())) if isinstance(values, str) else None
    named = re.match(r"\s*([A-Za-z_]\w*)\(", values) if isinstance(values, str) else None
    if named and named[1] not in ("linspace", "logspace", "uniform", "loguniform"):
        raise DendrosimError(
            f"{where} = {checks.short(values)}: {named[1]} is not known; valid: linspace, "
            "logspace, uniform, loguniform"
        )
    if match:
        axis = _distribution(key, match, values, where)
    elif key.rpartition(".")[2] in ("into", "sweeps", "channel", "command_channel", "file"):
        axis = Axis(key, _words(values, where))
    elif key.rpartition(".")[2] in ("seed", "independent"):
        axis = Axis(key, _options(values, where))
    else:
        axis = Axis(key, np.atleast_1d(quantity(values, where)))
    if axis.values is not None and len(axis.values) != len(
        set(axis.labels or axis.listed.tolist())
    ):
        raise DendrosimError(f"{where} = {checks.short(values)} holds a value twice")
    if axis.bounds is not None and not axis.of_neurons:
        raise DendrosimError(
            f"{where} = {checks.short(values)} would need a run of its own for each point; give a "
            "list"
        )
    for model in models:
        for protocol in protocols:
            _try(axis, model, protocol, where)
    return axis


def _distribution(key: str, match: re.Match, text: str, where: str) -> Axis:
    kind, low, high, unit = match.groups()
    said = f"{where} = {checks.short(text)}"
    bounds = [quantity(f"{part.strip()} {unit}".strip(), where) for part in (low, high)]
    if bounds[0].dim is not bounds[1].dim:
        raise DendrosimError(f"{said} should have one unit, after the parenthesis")
    if not bounds[0] < bounds[1]:
        raise DendrosimError(f"{said} should go from a lower to a higher value")
    if kind == "loguniform" and not bounds[0] > 0:
        raise DendrosimError(f"{said} should begin above 0")
    numbers = with_dim([float(bound) for bound in bounds], bounds[0].dim)
    return Axis(key, None, numbers, kind == "loguniform")


def words_of(values: Any) -> Any:
    """Return the words of a text such as ``"[soma, dendrite]"``; other values as they are."""
    if isinstance(values, str) and values.strip().startswith("["):
        return [word.strip(" '\"") for word in values.strip()[1:-1].split(",")]
    return values


def _words(values: Any, where: str) -> tuple:
    values = words_of(values)
    if not checks.is_row(values) or not len(values):
        raise DendrosimError(f"{where} = {checks.short(values)} should be a list")
    return tuple(values)


def _options(values: Any, where: str) -> tuple:
    """Return seeds or truth values; ``"[1, 2, 3]"`` and ``"linspace(0, 9, 10)"`` are text."""
    if isinstance(values, str):
        numbers = np.atleast_1d(np.asarray(quantity(values, where)))
        values = [int(number) if number == int(number) else number for number in numbers]
    return tuple(value.item() if isinstance(value, np.generic) else value
                 for value in _words(values, where))  # fmt: skip


def _try(axis: Axis, model: Model, protocol: Protocol, where: str) -> None:
    """Set the values, so that a wrong one is refused before the sweep begins."""
    together = axis.of_neurons and axis.labels is None
    tried = [axis.source] if together else axis.given(axis.listed)
    kind, _, rest = axis.key.partition(".")
    for value in tried:
        try:
            if kind == "stimuli":  # alone: another grid of the protocol may have another length
                number, _, name = rest.partition(".")
                protocol.stimuli[int(number)].with_("value", **{name: value})
            else:
                set_value(model, protocol, axis.key, value)
        except DendrosimError as error:
            said = checks.short(value)
            twice = said in str(error)  # the model names the value, too
            raise DendrosimError(f"{where}{'' if twice else f' = {said}'}: {error}") from None


def set_value(model: Model, protocol: Protocol, key: str, value: Any) -> tuple[Model, Protocol]:
    """Return a model and a protocol with another value of the full name `key`.

    Raises
    ------
    DendrosimError
        If the value is invalid there.
    """
    kind, _, rest = key.partition(".")
    if kind in ("parameters", "initial"):
        own: dict[str, Any] = {kind: {rest: value}}
        changed = model.with_(**own)
        if kind == "initial":
            check_gate(changed, rest, changed.initial[rest])
        return changed, protocol
    if kind == "protocol":
        return model, protocol.with_(duration=value)
    if kind == "measure":
        return model, protocol.with_(measure={**protocol.given_measure, rest: value})
    number, _, name = rest.partition(".")
    return model, protocol.with_(stimuli={int(number): {name: value}})
