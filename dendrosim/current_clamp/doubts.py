"""Description of a current-clamp recording, and doubts about its content.

Each function returns sentences; the caller prints them or warns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.measures.trains import counts_in_window
from dendrosim.time_grid import SAME

if TYPE_CHECKING:
    from dendrosim.current_clamp.recorded import ClampRecording

#: Usual limit of a cell's potential; beyond the second value it is not a membrane potential (V).
USUAL, POSSIBLE = 0.15, 1.0
#: A recorded current differs from the command if it deviates by more than this share of the step.
SHARE = 0.1
#: Highest rate that a cortical neuron can sustain (Hz).
FASTEST = 500.0
#: Longest sampling step (s) that resolves the rise of a spike, which takes about 0.3 ms.
SLOW = 0.2e-3
#: A window shorter than this (s) ends before a cell can respond.
SHORT = 20e-3


def of_reading(
    recording: ClampRecording, currents: Mapping[str, np.ndarray] | None = None
) -> list[str]:
    """Return the doubts about a loaded file.

    Parameters
    ----------
    currents
        Name of a channel to its recorded current in ampere, shape (samples, sweeps).

    Raises
    ------
    DendrosimError
        If the potential is beyond 1 V, and therefore not that of a cell.
    """
    path, doubts = recording.path, []
    largest = float(np.abs(recording.voltage).max())
    if largest > POSSIBLE:
        raise DendrosimError(
            f"{path}: the {recording.source.split(',')[0]} reaches {largest:.3g} V, so it is not "
            "the potential of a cell; name another with the key 'channel'"
        )
    if largest > USUAL:
        doubts.append(
            f"{path}: the potential reaches {largest * 1e3:.0f} mV, which no cell does; check the "
            "gain and the offset of the channel"
        )
    if not recording.epochs:
        doubts.append(
            f"{path}: the command never changes: it is {_pA(recording.command[0])} pA throughout"
        )
    for name, current in (currents or {}).items():
        doubts += _differing(recording, name, current)
    return doubts


def _differing(recording: ClampRecording, name: str, current: np.ndarray) -> list[str]:
    """Return a sentence if the current of a channel differs from the command."""
    command = recording.command
    span = np.abs(command - command[:1]).max()
    quiet = (command == command[:1]).all(axis=1)
    offset = np.median((current - command)[quiet], axis=0) if quiet.any() else 0.0
    worst, where = 0.0, 0
    for epoch in recording.epochs:
        part = slice(round(epoch.start / recording.dt), round(epoch.stop / recording.dt))
        apart = np.abs(np.median((current - command)[part], axis=0) - offset)
        if apart.max() > worst:
            worst, where = float(apart.max()), int(apart.argmax())
    if worst <= SHARE * span or not recording.epochs:
        return []
    return [
        f"{recording.path}: the current recorded as {name!r} differs from the command by "
        f"{worst * 1e12:.3g} pA in sweep {where} of those read; the command is what models get"
    ]


def check_window(recording: ClampRecording, stop: float) -> None:
    """Refuse a window that ends after the recorded sweep.

    Raises
    ------
    DendrosimError
    """
    if stop > recording.duration * (1 + SAME):
        raise DendrosimError(
            f"{recording.path}: the measured window ends at {stop * 1e3:g} ms, but a sweep was "
            f"recorded for {recording.duration * 1e3:g} ms; give measure.stop within it"
        )


def of_playing(
    recording: ClampRecording, start: float, stop: float, window: tuple[float, float]
) -> list[str]:
    """Return the doubts about a command that models receive only from `start` to `stop` (s)."""
    first, last = (float(at) for at in (start, stop))
    cut = [
        e for e in recording.epochs
        if e.start < window[1] and e.stop > window[0]
        and (e.start < first * (1 - SAME) or e.stop > last * (1 + SAME))
    ]  # fmt: skip
    if not cut:
        return []
    return [
        f"{recording.path}: the models get the command from {first * 1e3:g} to {last * 1e3:g} ms "
        f"only (start and stop of the stimulus), and the cell had it from {cut[0].start * 1e3:g} "
        f"to {cut[-1].stop * 1e3:g} ms"
    ]


def of_measuring(recording: ClampRecording, start: float, stop: float, given: bool) -> list[str]:
    """Return the doubts about a measured window.

    Parameters
    ----------
    start, stop
        The window in s.
    given
        Whether the protocol sets the window; if so, the choice of an epoch is not reported.
    """
    path, doubts = recording.path, []
    inside = [e for e in recording.epochs if e.start < stop - 1e-9 and e.stop > start + 1e-9]
    if not given and len(recording.epochs) > 1:
        doubts.append(
            f"{path}: the command has {len(recording.epochs)} epochs ({epochs(recording)}); "
            f"measured is the one from {start * 1e3:g} to {stop * 1e3:g} ms; another is chosen "
            "with measure.start and measure.stop"
        )
    if len(inside) > 1:
        doubts.append(
            f"{path}: the window from {start * 1e3:g} to {stop * 1e3:g} ms holds {len(inside)} "
            "epochs of the command, so a rate in it is that of no single current"
        )
    uneven = [e for e in inside if e.pulses == 1 and e.shortest < 0.9 * (e.stop - e.start)]
    if uneven and recording.command.shape[1] > 1:
        doubts.append(
            f"{path}: the command of the sweeps lasts from {uneven[0].shortest * 1e3:g} to "
            f"{(uneven[0].stop - uneven[0].start) * 1e3:g} ms, and one window is measured in all "
            "of them; a rate is that of the sweep's own step only if the step fills the window"
        )
    if stop - start < SHORT:
        doubts.append(
            f"{path}: the window from {start * 1e3:g} to {stop * 1e3:g} ms is shorter than "
            f"{SHORT * 1e3:g} ms; spikes after it are not counted"
        )
    return doubts + _of_spikes(recording, start, stop)


def _of_spikes(recording: ClampRecording, start: float, stop: float) -> list[str]:
    path, rule, doubts = recording.path, recording.rule, []
    slow = [found.slow for found in recording.found]
    if any(slow):
        doubts.append(
            f"{path}: peaks as high as spikes rise more slowly than spike_slope = "
            f"{rule.slope:g} mV/ms and are not counted: {sum(slow)}, in sweeps {_list(slow)} of "
            "those read; blunted spikes need a lower one"
        )
    jumps = recording.jumps
    if any(jumps):
        doubts.append(
            f"{path}: at steps of the command the potential jumps as high as a spike, by the "
            f"series resistance; {sum(jumps)} jumps, in sweeps {_list(jumps)} of those read, are "
            "not counted as spikes"
        )
    if recording.dt > SLOW and any(len(f.onsets) or f.slow for f in recording.found):
        doubts.append(
            f"{path}: one sample every {recording.dt * 1e3:g} ms shows too little of a spike, "
            f"whose rise takes less; record with {1e-3 / SLOW:g} kHz or more, or lower spike_slope"
        )
    rates = counts_in_window(recording.spike_times(), start, stop) / (stop - start)
    if rates.max() > FASTEST and stop - start >= SHORT:
        doubts.append(
            f"{path}: the cell would fire at {rates.max():.0f} Hz, which is implausible; check "
            "the channel and the keys spike_slope, spike_peak and spike_height"
        )
    if any(v[0] > rule.peak for v in recording.voltage.T):
        doubts.append(
            f"{path}: the potential begins above spike_peak = {rule.peak * 1e3:g} mV; check the "
            "offset of the channel, or raise the key"
        )
    return doubts


def _list(slow: Sequence[int]) -> str:
    where = [str(k) for k in np.flatnonzero(slow)]
    return ", ".join(where[:5]) + (", ..." if len(where) > 5 else "")


def epochs(recording: ClampRecording) -> str:
    """Return the epochs of the command as text: their times, and their range of currents."""
    listed = [
        f"{e.start * 1e3:g} to {e.stop * 1e3:g} ms: "
        f"{f'{e.pulses} pulses of ' if e.pulses > 1 else ''}{_pA(e.levels)} pA"
        for e in recording.epochs
    ]
    shown = listed if len(listed) <= 6 else [*listed[:5], f"{len(listed) - 5} more"]
    return "; ".join(shown) or "none"


def found(recording: ClampRecording) -> str:
    """Return one line that describes a recording: channels, sweeps, epochs of the command."""
    sweeps = recording.command.shape[1]
    alike = sweeps > 1 and not np.ptp(recording.command, axis=1).any()
    same = ", all with the same command" if alike else ""
    which = f"{recording.source}; " if recording.source else ""
    return (
        f"{which}{sweeps} sweep{'s' if sweeps != 1 else ''} of {recording.duration * 1e3:g} ms"
        f"{same}; epochs of the command: {epochs(recording)}"
    )


def _pA(levels: np.ndarray) -> str:
    low, high = np.min(levels) * 1e12, np.max(levels) * 1e12
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
