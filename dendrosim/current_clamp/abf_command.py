"""The commanded current of an ABF file: its table of epochs, with user lists applied.

Clampex holds for 1/64 of a sweep, outputs the epochs, and holds until the end.  A user list
replaces one parameter of one epoch (its level, duration, period or pulse width) in each sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dendrosim.current_clamp.abf_parts import EPISODES, Epoch, Header, Output, UserList
from dendrosim.errors import DendrosimError

_NO_EPOCHS, _EPOCHS, _FILE = 0, 1, 2
_OFF, _STEP, _RAMP, _PULSES, _TRIANGLES, _COSINE, _BIPHASIC = 0, 1, 2, 3, 4, 5, 7
_TRAINS = (_PULSES, _TRIANGLES, _COSINE, _BIPHASIC)
# Fields that a user list may change, in the order of their numbers in the header
_LISTED = ("digital pattern", "level", "duration", "period", "width")
_INACTIVE_HOLDING, _FIRST_LISTED = 8, 11


class _Listed(NamedTuple):
    """A parsed user list: the number of an epoch, its field, and one value per sweep."""

    number: int
    field: str
    values: np.ndarray


def commanded(path: str, header: Header, output: Output, sweeps: Sequence[int]) -> np.ndarray:
    """Return the command of an output, in its unit, shape (samples, sweeps).

    Parameters
    ----------
    path
        Path of the file, for messages.
    output
        One of the outputs in the header.
    sweeps
        Indices of the sweeps, counted from 0.

    Raises
    ------
    DendrosimError
        If the command comes from a file, if a user list or an epoch cannot be applied, or if an
        epoch does not fit into the sweep.
    """
    if header.mode != EPISODES or output.waveform == _NO_EPOCHS:
        return np.full((header.points, len(sweeps)), _holding(path, output))
    if output.waveform == _FILE:
        raise DendrosimError(
            f"{path}: the command of output {output.name!r} comes from the file {output.file!r}, "
            "which is not read; a command from the table of epochs is needed"
        )
    if output.waveform != _EPOCHS:
        raise DendrosimError(
            f"{path}: the command of output {output.name!r} has the unknown source "
            f"{output.waveform}; valid: 0 (none), 1 (epochs)"
        )
    epochs = [e for e in header.epochs if e.output == output.number and e.kind != _OFF]
    listed = _user_lists(path, header, output, epochs)
    return np.stack([_sweep(path, header, output, epochs, listed, k) for k in sweeps], axis=1)


def _holding(path: str, output: Output) -> float:
    if not abs(output.holding) <= 1e6:
        raise DendrosimError(
            f"{path}: output {output.name!r} is held at {output.holding:g} {output.unit}, "
            "which no amplifier gives"
        )
    return output.holding


def _sweep(
    path: str, header: Header, output: Output, epochs: list[Epoch], listed: list[_Listed], k: int
) -> np.ndarray:
    """Return the command of sweep `k`, shape (samples,)."""
    now = [_with_lists(epoch, listed, k) for epoch in epochs]
    holding = _holding(path, output)
    before = holding
    if output.keeps_last and epochs and k:
        before = _with_lists(epochs[-1], listed, k - 1).level
    result = np.full(header.points, before)
    position, level = max(1, header.points // 64), before
    for epoch in now:
        letter = _letter(epoch.number)
        if not 0 <= epoch.duration <= header.points - position or not abs(epoch.level) <= 1e6:
            raise DendrosimError(
                f"{path}: epoch {letter} of sweep {k} would last {epoch.duration:,} samples at "
                f"{epoch.level:g} {output.unit}, and does not fit into a sweep of "
                f"{header.points:,} samples"
            )
        stop = position + epoch.duration
        result[position:stop] = _shape(path, epoch, level)
        position, level = stop, epoch.level
    result[position:] = level if output.keeps_last else holding
    return result


def _with_lists(epoch: Epoch, listed: list[_Listed], k: int) -> Epoch:
    """Return an epoch with its values in sweep `k`, without increments."""
    epoch = epoch._replace(
        level=epoch.level + epoch.level_step * k,
        duration=epoch.duration + epoch.duration_step * k,
        level_step=0.0,
        duration_step=0,
    )
    for one in listed:
        if one.number == epoch.number:
            value = one.values[k]
            epoch = epoch._replace(**{one.field: value if one.field == "level" else int(value)})
    return epoch


def _shape(path: str, epoch: Epoch, before: float) -> np.ndarray:
    """Return the command within an epoch; `before` is the level before it."""
    n, level = epoch.duration, epoch.level
    if epoch.kind == _STEP:
        return np.full(n, level)
    if epoch.kind == _RAMP:
        return np.linspace(before, level, n)
    if epoch.kind not in _TRAINS or not 0 <= epoch.width <= epoch.period or epoch.period == 0:
        raise DendrosimError(
            f"{path}: epoch {_letter(epoch.number)} is of kind {epoch.kind} with a period of "
            f"{epoch.period} and a width of {epoch.width} samples; steps, ramps and "
            "trains whose pulses fit into their period are read"
        )
    whole = n // epoch.period * epoch.period  # an incomplete pulse is not output
    phase = np.arange(whole) % epoch.period
    inside, rise = phase < epoch.width, level - before
    if epoch.kind == _PULSES:
        pulse = np.where(inside, rise, 0.0)
    elif epoch.kind == _TRIANGLES:
        up = phase / max(epoch.width - 1, 1)
        down = (epoch.period - 1 - phase) / max(epoch.period - epoch.width - 1, 1)
        pulse = rise * np.where(inside, up, down)
    elif epoch.kind == _BIPHASIC:
        pulse = np.where(phase < epoch.width // 2, rise, np.where(inside, -rise, 0.0))
    else:
        turns = np.linspace(0, n // epoch.period, n)
        return before + rise * (1 - np.cos(2 * np.pi * turns)) / 2
    return before + np.concatenate([pulse, np.zeros(n - whole)])


def _user_lists(path: str, header: Header, output: Output, epochs: list[Epoch]) -> list[_Listed]:
    """Return the user lists that change the command of an output."""
    result = []
    # Clampex 11 (ABF 2.9) has 50 epochs instead of 10; the numbering of parameters follows
    most = 50 if header.version >= (2, 9) else 10
    for one in header.lists:
        if one.parameter == _INACTIVE_HOLDING and one.output != output.number:
            raise _refused(path, one, "changes the holding level of the other output")
        if one.parameter < _FIRST_LISTED or one.output != output.number:
            continue  # conditioning pulses, pauses, P/N and digital holding are not in a sweep
        kind, number = divmod(one.parameter - _FIRST_LISTED, most)
        if kind == 0:
            continue  # a digital pattern
        known = [e.number for e in epochs]
        if kind >= len(_LISTED) or number not in known:
            letters = ", ".join(_letter(k) for k in known) or "none"
            raise _refused(path, one, f"changes no epoch of output {output.name!r} ({letters})")
        values = _values(path, one)
        sweep = np.arange(header.sweeps)
        entry = sweep % len(values) if one.repeats else np.minimum(sweep, len(values) - 1)
        result.append(_Listed(number, _LISTED[kind], values[entry]))
    return result


def _values(path: str, one: UserList) -> np.ndarray:
    try:
        values = np.array([float(part) for part in one.text.replace(",", " ").split()])
    except ValueError:
        values = np.empty(0)
    if not values.size or not (np.abs(values) <= 1e9).all():
        raise _refused(path, one, f"holds {one.text[:80]!r}, which is not a list of numbers")
    return values


def _refused(path: str, one: UserList, why: str) -> DendrosimError:
    return DendrosimError(
        f"{path}: the user list of output {one.output} (parameter {one.parameter}) {why}, so the "
        "command of its sweeps is not known"
    )


def _letter(number: int) -> str:
    """Return the letters of an epoch in Clampex: A to Z, AA, AB, ..."""
    letters = ""
    number += 1
    while number > 0:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
