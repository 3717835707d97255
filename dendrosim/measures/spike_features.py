"""The shape of spikes in a voltage trace, as eFEL measures it.

Pure functions on NumPy arrays in SI units: seconds and volts.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from brian2 import second, volt
from numpy.typing import ArrayLike

from dendrosim import checks
from dendrosim.errors import DendrosimError, did_you_mean
from dendrosim.measures.voltage import level_crossings, potential_trace

#: eFEL's features that need no spike, and the potential before the stimulus.
WITHOUT_SPIKES = frozenset({
    "voltage_base", "steady_state_voltage", "steady_state_voltage_stimend", "voltage_deflection",
    "voltage_deflection_vb_ssse", "voltage_deflection_begin", "voltage_after_stim",
    "sag_amplitude", "sag_ratio1", "sag_ratio2", "sag_time_constant",
    "decay_time_constant_after_stim", "time_constant", "minimum_voltage", "maximum_voltage",
    "maximum_voltage_from_voltagebase", "Spikecount", "Spikecount_stimint", "depol_block_bool",
})  # fmt: skip
#: Of these, the features for which eFEL ignores the duration of the stimulus.
OF_WHOLE_TRACE = frozenset({"Spikecount"})


def efel_features(
    times: ArrayLike,
    v: ArrayLike,
    spike_features: Sequence[str],
    threshold: float = -0.020,
    start: float | None = None,
    stop: float | None = None,
    whole: bool = False,
) -> dict[str, float]:
    """Return the means of eFEL's spike features of a voltage trace.

    Spikes are measured only if the voltage crosses `threshold`; otherwise every feature is nan.
    A feature without a value in eFEL is also nan, never 0.

    Parameters
    ----------
    times
        Increasing times in s, shape (n,).
    v
        Voltage in V, shape (n,).
    spike_features
        eFEL's names, such as ``"AP_amplitude"`` or ``"AP_duration_half_width"``.
    threshold
        Peaks above it are spikes, in V; eFEL's own default is -20 mV.  All other settings of
        eFEL keep their defaults.
    start, stop
        The window, in s; by default the whole trace.  Samples outside it are ignored, and eFEL
        gets the window as the duration of the stimulus.

    whole
        Whether eFEL gets the whole trace, also one without a spike, with the window as the
        stimulus; for features of the baseline, of a sag or of a time constant.

    Returns
    -------
    dict of str to float
        In eFEL's units: times in ms, voltages in mV, rates in Hz.

    Raises
    ------
    DendrosimError
        If eFEL is not installed or has no such feature, if the shapes differ, a value is not
        finite, the units cannot be right, or the window is not inside the trace.

    References
    ----------
    Ranjan et al., eFEL, https://github.com/BlueBrain/eFEL.
    """
    try:
        import efel
    except ImportError as error:
        raise DendrosimError(
            f'efel_features needs eFEL: pip install "dendrosim[efel]" ({error})'
        ) from error
    wanted = checks.texts(spike_features, "efel_features: spike_features")
    threshold = checks.number(threshold, "efel_features: threshold", dim=volt.dim)
    if abs(threshold) > 1:
        raise DendrosimError(f"efel_features: threshold = {threshold:g} V; it is given in V")
    times, v = potential_trace(times, v)
    start, stop = checks.window(
        times[0] if start is None else start, times[-1] if stop is None else stop,
        "efel_features", dim=second.dim,
    )  # fmt: skip
    inside = (times >= start) & (times <= stop)
    if inside.sum() < 2:
        raise DendrosimError(
            f"efel_features: the window from {start} to {stop} s holds fewer than two samples of a "
            f"trace from {times[0]:g} to {times[-1]:g} s"
        )
    if not checks.flag(whole, "efel_features: whole"):
        times, v = times[inside], v[inside]
    known = efel.get_feature_names()
    for name in wanted:
        if name not in known:
            raise DendrosimError(f"eFEL has no feature {name!r}; {did_you_mean(name, known)}")
    if not whole and not level_crossings(times, v, threshold).size:
        return dict.fromkeys(wanted, np.nan)
    sample = {"T": times * 1e3, "V": v * 1e3, "stim_start": [start * 1e3], "stim_end": [stop * 1e3]}
    previous = efel.get_settings().Threshold
    efel.set_setting("Threshold", float(threshold * 1e3))
    try:
        with warnings.catch_warnings():
            # eFEL's features use names that eFEL itself has deprecated
            warnings.simplefilter("ignore", DeprecationWarning)
            [values] = efel.get_feature_values([sample], wanted, raise_warnings=False)
    finally:
        efel.set_setting("Threshold", previous)
    return {
        name: np.nan if value is None or not np.size(value) else float(np.mean(value))
        for name, value in values.items()
    }


def efel_names() -> tuple[str, ...]:
    """Return the names of eFEL's features; empty if it is not installed."""
    if find_spec("efel") is None:
        return ()
    import efel

    return tuple(efel.get_feature_names())
