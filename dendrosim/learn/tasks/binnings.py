"""Binning of spike times to steps: our binning, and those of published codes for SHD and SSC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
CHANNELS = 700


@dataclass(frozen=True)
class Binning:
    """Mapping from spike time and channel to step and input.

    Attributes
    ----------
    steps
        Number of steps.
    edges
        Limits of the intervals in seconds; spikes outside are dropped.
    first
        Step of the first interval.
    binary
        Whether a step stores only if there was a spike, instead of the number of spikes.
    mirrored
        Whether channel u becomes input 700 - u; channel 0 then has no input and is dropped.
    """

    steps: int
    edges: Array
    first: int = 0
    binary: bool = False
    mirrored: bool = False

    def add(self, into: Array, times: Array, channels: Array) -> None:
        """Count the spikes of one sample.

        Parameters
        ----------
        into
            float32, shape (steps, 700), contiguous; the counts are added to it.
        times, channels
            Time in seconds and channel of each spike.
        """
        step = np.digitize(times, self.edges) - 1 + self.first
        kept = (step >= self.first) & (step < self.first + len(self.edges) - 1)
        if self.mirrored:
            channels = CHANNELS - channels
            kept &= channels < CHANNELS
        flat, place = into.reshape(-1), step[kept] * CHANNELS + channels[kept]
        if self.binary:
            flat[place] = 1
        else:
            np.add.at(flat, place, np.float32(1))  # equal types and a flat array: 50 times faster


BINNINGS: Mapping[str, Binning] = {
    # 250 bins of 5.6 ms over 1.4 s
    "even": Binning(250, np.linspace(0, 1.4, 251)),
    # the code of TC-LIF and LSTM-LIF: 249 intervals of 5.62 ms, and step 0 is always empty
    "tc_lif": Binning(250, np.linspace(0, 1.4, 250), first=1),
    # SPARCH, for RadLIF: 99 intervals of 14.1 ms, and step 0 is always empty
    "radlif": Binning(100, np.linspace(0, 1.4, 100), first=1),
    # Yin et al. 2021, for ALIF: 4 ms steps over the first second
    "alif": Binning(250, np.linspace(0, 1, 251), binary=True, mirrored=True),
}
