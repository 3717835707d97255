"""A cochlea: converts sound to spike counts of bushy cells per bin.

The basilar membrane is a bank of gammatone filters (Patterson et al. 1992; scipy's), evenly spaced
on the scale of equivalent rectangular bandwidths (Glasberg and Moore 1990).  Hair cell, nerve and
bushy cell are the model `hair_cell`, a layer without connections across channels.  The processing
chain is that of the Heidelberg data sets (Cramer et al. 2022), except that their membrane model is
hydrodynamic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dendrosim.networks.layer import Layer
from dendrosim.networks.network import Network

Array = np.ndarray

#: Sound level in dB SPL that gives an rms of 1 at the hair cell (Meddis 1986).
UNIT_LEVEL = 30.0
_TOGETHER = 32  # clips processed at a time: 80 MB for the membrane


@dataclass(frozen=True)
class Cochlea:
    """A cochlea with a fixed number of channels and bins.

    Attributes
    ----------
    rate
        Sampling rate in Hz.
    hop
        Samples per bin.
    frames
        Number of bins; a sound is truncated or padded with silence to ``frames*hop`` samples.
    channels
        Number of channels.
    low, high
        Centre frequencies of the first and last filter, in hertz.
    level
        Overall level of each sound, dB SPL.
    """

    rate: int
    hop: int
    frames: int = 101
    channels: int = 40
    low: float = 100.0
    high: float = 3600.0
    level: float = 60.0

    @property
    def centres(self) -> Array:
        """Centre frequencies in hertz, ascending."""
        return frequency(np.linspace(erb_rate(self.low), erb_rate(self.high), self.channels))

    @property
    def network(self) -> Network:
        """One hair cell and its bushy cell per channel."""
        channels = np.eye(self.channels)
        step = {"step": 1 / self.rate}
        layer = Layer("hair_cell", self.channels, self.channels, input_weights={"s": channels},
                      parameters=step)  # fmt: skip
        return Network([layer])

    def membrane(self, sounds: Sequence[Array]) -> Array:
        """Return the movement of the membrane, scaled to 1 at an rms of 30 dB SPL.

        Parameters
        ----------
        sounds
            Each of shape (samples,), in any unit.

        Returns
        -------
        ndarray
            float32, shape (sounds, frames*hop, channels).
        """
        from scipy.signal import gammatone, lfilter

        heard = np.zeros((len(sounds), self.frames * self.hop))
        for row, sound in zip(heard, sounds, strict=True):
            cut = np.asarray(sound[: len(row)], float)
            power = np.sqrt(np.mean(cut**2)) if len(cut) else 0.0
            loud = 10 ** ((self.level - UNIT_LEVEL) / 20)
            row[: len(cut)] = cut * (loud / power if power > 0 else 0)
        moved = np.empty((*heard.shape, self.channels), np.float32)
        for channel, centre in enumerate(self.centres):
            moved[..., channel] = lfilter(*gammatone(centre, "iir", fs=self.rate), heard)
        return moved

    def __call__(self, sounds: Sequence[Array]) -> Array:
        """Return the number of spikes of each bushy cell in each bin.

        Returns
        -------
        ndarray
            float32, shape (sounds, frames, channels).
        """
        import torch

        from dendrosim.learn.networks.torch_network import TorchNetwork

        module = TorchNetwork(self.network)
        counts = []
        for start in range(0, len(sounds), _TOGETHER):
            moved = self.membrane(sounds[start : start + _TOGETHER])
            with torch.no_grad():
                (spikes,) = module(torch.from_numpy(moved)).spikes
            bins = spikes.reshape(len(moved), self.frames, self.hop, self.channels)
            counts.append(bins.sum(2).numpy())
        return np.concatenate(counts)


def erb_rate(hertz: ArrayLike) -> Array:
    """Convert frequencies to the scale of equivalent rectangular bandwidths."""
    return 21.4 * np.log10(1 + 0.00437 * np.asarray(hertz, float))


def frequency(erbs: Array) -> Array:
    """Convert values of that scale to frequencies in hertz."""
    return (10 ** (np.asarray(erbs, float) / 21.4) - 1) / 0.00437
