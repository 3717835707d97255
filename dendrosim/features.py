"""Every feature of a spike train or a voltage trace, under one name.

Pure functions on NumPy arrays in SI units: seconds, volts, amperes per square metre.
`dendrosim.trains` has rates, intervals and the f-I curve, `dendrosim.bursts` bursts,
`dendrosim.spike_distance` distances between trains, `dendrosim.voltage` what a trace shows,
`dendrosim.spike_features` the shape of spikes and `dendrosim.impedance` the linear response.
"""

from dendrosim.bursts import Bursts, Phase, burst_phase, burst_threshold, bursts
from dendrosim.impedance import (
    Resonance,
    StepResponse,
    impedance,
    input_resistance_and_tau,
    resonance,
)
from dendrosim.spike_distance import coincidence_factor, coincidences, van_rossum, victor_purpura
from dendrosim.spike_features import efel_features
from dendrosim.trains import (
    adaptation_index,
    cv_isi,
    firing_rate,
    first_spike_latency,
    gain,
    isi,
    rheobase,
)
from dendrosim.voltage import (
    VoltageError,
    exclude_spikes,
    level_crossings,
    spike_times_from_trace,
    voltage_error,
)

__all__ = [
    "Bursts",
    "Phase",
    "Resonance",
    "StepResponse",
    "VoltageError",
    "adaptation_index",
    "burst_phase",
    "burst_threshold",
    "bursts",
    "coincidence_factor",
    "coincidences",
    "cv_isi",
    "efel_features",
    "exclude_spikes",
    "firing_rate",
    "first_spike_latency",
    "gain",
    "impedance",
    "input_resistance_and_tau",
    "isi",
    "level_crossings",
    "resonance",
    "rheobase",
    "spike_times_from_trace",
    "van_rossum",
    "victor_purpura",
    "voltage_error",
]
