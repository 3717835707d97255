"""Values in messages: short, and as a user would write them.

Quantities get their text, with its unit, from `dendrosim.model.units`, which is a floor above.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Most characters of a value in a message, and most numbers of an array that it lists.
LONGEST, LISTED = 60, 5


@singledispatch
def short(value: Any) -> str:
    """Return a value as text of at most 60 characters, as a user would write it.

    A long array is its first and last number, for example ``"1 .. 15 (41 values)"``.
    """
    return _plain_text(value)


def _plain_text(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


@short.register
def _(value: np.generic) -> str:
    return short(value.item())  # 1.0, not np.float64(1.0)


@short.register
def _(value: np.ndarray) -> str:
    if not value.ndim:
        return short(value.item())
    if value.ndim > 1 and value.size > LISTED:
        return f"an array of shape {value.shape}"
    is_row = value.ndim == 1 and value.size and value.dtype.kind in "iuf"
    return short_row(value) if is_row and not np.ma.is_masked(value) else _plain_text(value)


@short.register(list)
@short.register(tuple)
def _(value: Sequence) -> str:
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
        long = len(value) > LISTED and len(repr(value)) > LONGEST
        return short_row(np.array(value, dtype=float)) if long else _plain_text(value)
    own_texts = {short.dispatch(type(one)) for one in value} - {short.dispatch(object)}
    if not own_texts or any(isinstance(one, list | tuple) for one in value):
        return _plain_text(value)
    if len(value) > LISTED:  # such as a list of quantities
        return f"{short(value[0])} .. {short(value[-1])} ({len(value):,} values)"
    return f"[{', '.join(map(short, value))}]"


def short_row(numbers: NDArray, unit: str = "") -> str:
    """Return a row of numbers as text: all of a short one, else ends and length.

    The ends are the least and greatest number if the row is not sorted.  Equal numbers are one: a
    run fills its last neurons with copies, which the user did not give.

    >>> short_row(np.array([1, 2.5]), "mV"), short_row(np.linspace(1, 15, 41), "mV")
    ('[1, 2.5] mV', '1 .. 15 mV (41 values)')
    """
    unit = f" {unit}" if unit else ""
    if len(numbers) <= LISTED:
        return f"[{', '.join(f'{number:.6g}' for number in numbers)}]{unit}"
    if (numbers == numbers[0]).all():
        return f"{numbers[0]:.6g}{unit}"
    steps = np.diff(numbers.astype(float))
    is_sorted = (steps >= 0).all() or (steps <= 0).all()
    first, last = (numbers[0], numbers[-1]) if is_sorted else (numbers.min(), numbers.max())
    return f"{first:.6g} .. {last:.6g}{unit} ({len(numbers):,} values)"
