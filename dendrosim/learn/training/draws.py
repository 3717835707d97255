"""Initial values: random distributions of weights and neuron parameters in a recipe.

Examples: ``"xavier"``, ``"normal(150, 10)"`` (a name with its numbers), ``0.95`` (a constant).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError, did_you_mean

Array = np.ndarray


def xavier(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Uniform within ``sqrt(6/(n_in + n))``: Glorot and Bengio 2010."""
    return _within(rng, np.sqrt(6 / sum(shape)), shape)


def torch_uniform(rng: np.random.Generator, shape: tuple[int, ...], n_in: int) -> Array:
    """Uniform within ``1/sqrt(n_in)``: weights and biases of `torch.nn.Linear`."""
    return _within(rng, 1 / np.sqrt(n_in), shape)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Orthonormal rows or columns: Saxe, McClelland and Ganguli 2014."""
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))  # gives a uniform distribution (Mezzadri 2007)
    return q if shape[0] >= shape[1] else q.T


def _within(rng: np.random.Generator, limit: float, shape: tuple[int, ...]) -> Array:
    return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class _Rule:
    """A rule of the grammar: its numbers, whether it needs a matrix, and the drawing function."""

    arguments: tuple[str, ...]
    matrix: bool
    draw: Callable[..., Array]


RULES: Mapping[str, _Rule] = {
    "xavier": _Rule((), True, lambda rng, shape, n_in: xavier(rng, shape)),
    "orthogonal": _Rule((), True, lambda rng, shape, n_in: orthogonal(rng, shape)),
    "torch": _Rule((), False, torch_uniform),
    "uniform": _Rule(("low", "high"), False, lambda rng, shape, n_in, *a: rng.uniform(*a, shape)),
    "normal": _Rule(("mean", "sd"), False, lambda rng, shape, n_in, *a: rng.normal(*a, shape)),
}


@dataclass(frozen=True)
class Draw:
    """A checked rule for drawing values.

    Attributes
    ----------
    rule
        A key of `RULES`, or ``"constant"``.
    numbers
        Its arguments.
    """

    rule: str
    numbers: tuple[float, ...]

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...], n_in: int | None = None
    ) -> Array:
        """Draw an array.

        Parameters
        ----------
        rng
            The random generator.
        shape
            Shape of the array; (targets, sources) for weights.
        n_in
            Number of sources per target, if the shape does not end with it.
        """
        if self.rule == "constant":
            return np.full(shape, self.numbers[0])
        return RULES[self.rule].draw(rng, shape, n_in or next(reversed(shape), 1), *self.numbers)


def read_draw(value: Any, key: str, matrix: bool = False) -> Draw:
    """Check a value in a recipe and return its rule.

    Parameters
    ----------
    value
        A number or text.
    key
        Key of the value, for the error message.
    matrix
        Whether a matrix is drawn; otherwise the rules for matrices are refused.

    Raises
    ------
    DendrosimError
        With the key, the value and the valid forms.
    """
    known = [name for name, rule in RULES.items() if matrix or not rule.matrix]
    if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
        return Draw("constant", (float(value),))
    found = (
        re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", value) if isinstance(value, str) else None
    )
    if not found:
        raise DendrosimError(f"{key} = {value!r} is neither a number nor {_forms(known)}")
    name, inner = found[1], found[2]
    if name not in known:
        raise DendrosimError(f"{key} = {value!r}: {did_you_mean(name, map(_form, known))}")
    numbers = _numbers(inner)
    if numbers is None or len(numbers) != len(RULES[name].arguments):
        raise DendrosimError(f"{key} = {value!r} should be {_form(name)}")
    if (name == "uniform" and numbers[0] > numbers[1]) or (name == "normal" and numbers[1] < 0):
        raise DendrosimError(f"{key} = {value!r} should be {_form(name)} in this order, sd from 0")
    return Draw(name, numbers)


def _numbers(text: str | None) -> tuple[float, ...] | None:
    try:
        numbers = tuple(map(float, text.split(","))) if text else ()
    except ValueError:
        return None
    return numbers if all(map(np.isfinite, numbers)) else None


def _form(name: str) -> str:
    arguments = RULES[name].arguments
    return f"{name}({', '.join(arguments)})" if arguments else name


def _forms(names: list[str]) -> str:
    return "one of " + ", ".join(map(_form, names))
