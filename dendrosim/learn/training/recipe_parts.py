"""The sections of a recipe: one frozen class each, with the keys of the file as fields."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

from dendrosim.errors import DendrosimError, at, did_you_mean
from dendrosim.learn.step.surrogates import SURROGATES
from dendrosim.learn.training.draws import read_draw
from dendrosim.shelves import Kinds, check_keys

READOUTS = ("last", "sum", "mean", "max", "softmax_sum", "rate", "steps")
OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "step", "milestones", "cosine", "plateau")
MASKS = ("none", "disjoint")

#: A number, the text of a draw, or a table of these by port.
Start = str | float | Mapping[str, Any]


@dataclass(frozen=True)
class LayerRecipe:
    """Neurons of one model and their initial values.

    Attributes
    ----------
    model
        Name of a discrete model, its path (relative to the folder of the recipe), or ``lstm``
        or ``srnn_relu``: torch's units, which support only `n` and `dropout`.
    n
        Number of neurons.
    recurrent
        Whether the layer has recurrent weights.
    weights, recurrent_weights, bias
        Initial values, see `dendrosim.learn.training.draws`: one for all ports, or one per port.
    mask
        ``"disjoint"``: each source, including the neurons of the layer itself, is connected to
        only one port of each neuron, chosen at random per neuron.  `weights` can restrict the
        ports.
    self_weights
        Whether a neuron may have a nonzero recurrent weight to itself.
    dropout
        Share of the inputs that are set to 0 during training, drawn again in every time step.
    parameters
        Name to a number or a draw, one value per neuron.
    limits
        Name of a trained parameter to its minimum and maximum during training.
    fixed
        Trainable parameters that keep their initial values.
    """

    model: str
    n: int
    recurrent: bool = False
    weights: Start = "xavier"
    recurrent_weights: Start = "orthogonal"
    bias: Start = 0.0
    mask: str = "none"
    self_weights: bool = True
    dropout: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse an invalid size, share, draw or limit."""
        in_range(self.n, 1, None, "n")
        in_range(self.dropout, 0, 1, "dropout", open_high=True)
        choice(self.mask, MASKS, "mask")
        for key in ("weights", "recurrent_weights", "bias"):
            value = getattr(self, key)
            for port, one in value.items() if isinstance(value, Mapping) else [("", value)]:
                read_draw(one, f"{key}{port and f'.{port}'}", matrix=key != "bias")
        for name, value in self.parameters.items():
            read_draw(value, f"parameters.{name}")
        for name, pair in self.limits.items():
            numbers = isinstance(pair, list) and all(type(x) in (int, float) for x in pair)
            if not numbers or len(pair) != 2 or not pair[0] < pair[1]:
                raise DendrosimError(
                    f"limits.{name} = {pair!r} should be [lowest, highest], such as "
                    "[0, 1] or [1, inf]"
                )


@dataclass(frozen=True)
class Readout:
    """The computation of the class scores from the output of the network.

    Attributes
    ----------
    rule
        One of `READOUTS`, see `dendrosim.learn.training.losses.scores`.
    start
        First step that counts.
    scale
        Factor of the scores.
    weights, bias
        Initial values of the linear readout, see `dendrosim.learn.training.draws`.
    """

    rule: str = "last"
    start: int = 0
    scale: float = 1.0
    weights: str | float = "xavier"
    bias: str | float = 0.0

    def check(self) -> None:
        """Refuse an unknown rule or a number out of range."""
        choice(self.rule, READOUTS, "rule")
        in_range(self.start, 0, None, "start")
        in_range(self.scale, 0, None, "scale", open_low=True)
        read_draw(self.weights, "weights", matrix=True)
        read_draw(self.bias, "bias")


@dataclass(frozen=True)
class Surrogate:
    """The derivative of a spike, see `dendrosim.learn.step.surrogates`."""

    name: str = "triangle"
    width: float | None = None
    detach_reset: bool = False

    def check(self) -> None:
        """Refuse an unknown name or a width that is not positive."""
        choice(self.name, SURROGATES, "name")
        if self.width is not None:
            in_range(self.width, 0, None, "width", open_low=True)


@dataclass(frozen=True)
class Training:
    """The optimiser and its settings.

    Attributes
    ----------
    epochs, batch
        Passes through the training part; samples per step, over all processes.
    lr, neuron_lr
        Learning rate, and its factor for the parameters of neurons.
    optimizer, betas, weight_decay
        Adam or AdamW; weight decay excludes biases and the parameters of neurons.
    clip
        Maximum norm of the whole gradient; 0 means no clipping.
    label_smoothing
        Label smoothing of the cross-entropy.
    """

    epochs: int
    batch: int
    lr: float
    neuron_lr: float = 1.0
    optimizer: str = "adam"
    betas: tuple[float, ...] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float = 0.0
    label_smoothing: float = 0.0

    def check(self) -> None:
        """Refuse an unknown optimiser or a number out of range."""
        choice(self.optimizer, OPTIMIZERS, "optimizer")
        for name in ("epochs", "batch"):
            in_range(getattr(self, name), 1, None, name)
        in_range(self.lr, 0, None, "lr", open_low=True)
        for name in ("neuron_lr", "weight_decay", "clip"):
            in_range(getattr(self, name), 0, None, name)
        in_range(self.label_smoothing, 0, 1, "label_smoothing", open_high=True)
        if len(self.betas) != 2:
            raise DendrosimError(f"betas = {list(self.betas)} should be two numbers")
        for beta in self.betas:
            in_range(beta, 0, 1, "betas", open_high=True)


@dataclass(frozen=True)
class Schedule:
    """The decrease of the learning rate, see `dendrosim.learn.training.schedules`.

    Attributes
    ----------
    rule
        One of `SCHEDULES`.
    factor
        Factor of the rate at each decrease, for step, milestones and plateau.
    every
        Epochs between two decreases, for step.
    epochs
        Epochs after which the rate decreases, for milestones.
    patience
        Epochs to wait for a better validation accuracy, for plateau.
    """

    rule: str = "constant"
    factor: float = 0.1
    every: int = 10
    epochs: tuple[float, ...] = ()
    patience: int = 1

    def check(self) -> None:
        """Refuse an unknown rule or a number out of range."""
        choice(self.rule, SCHEDULES, "rule")
        in_range(self.factor, 0, 1, "factor", open_low=True)
        in_range(self.every, 1, None, "every")
        in_range(self.patience, 0, None, "patience")
        if self.rule == "milestones" and not self.epochs:
            raise DendrosimError("milestones need epochs, such as epochs = [60, 80]")
        for epoch in self.epochs:
            in_range(epoch, 0, None, "epochs", open_low=True)


@dataclass(frozen=True)
class Anneal:
    """The change of an untrained parameter during training.

    Attributes
    ----------
    start, end
        First and last value.
    first, last
        Epochs at whose ends the change starts and stops; it is linear in the steps.
    """

    start: float
    end: float
    last: float
    first: float = 0.0

    def check(self) -> None:
        """Refuse epochs in the wrong order."""
        in_range(self.first, 0, None, "first")
        for name in ("start", "end", "last"):
            in_range(getattr(self, name), None, None, name)
        if not self.last > self.first:
            raise DendrosimError(f"last = {self.last} is not after first = {self.first}")


Section = TypeVar("Section", LayerRecipe, Readout, Surrogate, Training, Schedule, Anneal)

_NUMBER = (int, float)
_TYPES: dict[str, Kinds] = {
    "int": int, "float": _NUMBER, "float | None": _NUMBER, "str": str, "bool": bool,
    "str | float": (str, int, float), "Start": (str, int, float, dict),
    "tuple[float, ...]": list, "tuple[str, ...]": list, "Mapping[str, Any]": dict,
}  # fmt: skip


def section(kind: type[Section], table: Any, name: str) -> Section:
    """Read a section of a recipe.

    Raises
    ------
    DendrosimError
        With the key, the value and the valid values.
    """
    with at(name):
        (made := kind(**_values(kind, table))).check()
    return made


def _values(kind: type[Section], table: Any) -> dict[str, Any]:
    """Check the types of a section's keys; return the values by key."""
    declared = {f.name: f for f in fields(kind)}
    types = {name: str(f.type) for name, f in declared.items()}  # annotations are text
    check_keys(table, {name: _TYPES[text] for name, text in types.items()})
    values = {}
    for name, f in declared.items():
        if name not in table:
            if f.default is MISSING and f.default_factory is MISSING:
                raise DendrosimError(f"has no {name!r}")
            continue
        value = table[name]
        if types[name].startswith("tuple"):
            inner, what = (_NUMBER, "numbers") if "float" in types[name] else ((str,), "names")
            if any(type(item) not in inner for item in value):
                raise DendrosimError(f"{name} = {value!r} should be a list of {what}")
            value = tuple(value)
        values[name] = value
    return values


def choice(value: str, valid: Collection[str], name: str) -> None:
    """Refuse a name that is not valid."""
    if value not in valid:
        raise DendrosimError(f"{name} = {value!r}; {did_you_mean(value, valid)}")


def in_range(
    value: float, low: float | None, high: float | None, name: str,
    open_low: bool = False, open_high: bool = False,
) -> None:  # fmt: skip
    """Refuse a number that is outside a range or not finite."""
    below = low is not None and (value < low or (open_low and value == low))
    above = high is not None and (value > high or (open_high and value == high))
    if below or above or not math.isfinite(value):
        parts = [f"{'above' if open_low else 'from'} {low}"] if low is not None else []
        parts += [f"{'below' if open_high else 'up to'} {high}"] if high is not None else []
        wanted = " ".join(["a finite number", " and ".join(parts)]).strip()
        raise DendrosimError(f"{name} = {value!r} should be {wanted}")
