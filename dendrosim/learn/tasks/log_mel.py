"""Log-mel spectrograms: the level in each of a few frequency bands, every 10 ms.

The processing steps are those of the published Speech Commands preparation: magnitude spectrum in
a Hann window, triangular bands of equal area on the mel scale of Slaney (1998, Auditory Toolbox),
decibels below the maximum, limited to -80, and a z-score over the utterance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray

#: The mel scale: linear up to 1 kHz, then logarithmic with 27 mels per factor of 6.4.
_LINEAR_HZ, _CORNER_HZ, _LOG_STEP = 200 / 3, 1000.0, np.log(6.4) / 27
_CORNER_MEL = _CORNER_HZ / _LINEAR_HZ
#: Minimum amplitude, and the range in decibels.
_FLOOR, _RANGE = 1e-10, 80.0
_FULL_SCALE = 32768


def mel(hertz: ArrayLike) -> Array:
    """Convert frequencies in hertz to the mel scale."""
    f = np.asarray(hertz, float)
    above = np.log(np.maximum(f, _CORNER_HZ) / _CORNER_HZ) / _LOG_STEP
    return np.where(f < _CORNER_HZ, f / _LINEAR_HZ, _CORNER_MEL + above)


def hertz(mels: Array) -> Array:
    """Convert values on the mel scale to frequencies in hertz."""
    mels = np.asarray(mels, float)
    above = _CORNER_HZ * np.exp(_LOG_STEP * np.maximum(mels - _CORNER_MEL, 0))
    return np.where(mels < _CORNER_MEL, mels * _LINEAR_HZ, above)


@dataclass(frozen=True)
class LogMel:
    """A log-mel spectrogram with a fixed number of frames.

    Attributes
    ----------
    rate
        Sampling rate in Hz.
    window, hop
        Frame length and distance between frames, in samples.
    bands
        Number of bands.
    low, high
        Lower limit of the first and upper limit of the last band, in hertz.
    frames
        Number of frames; a sound is truncated or padded to ``(frames - 1)*hop`` samples.
    blank_end
        Whether frames after the end of the sound are 0 and excluded from the z-score.
        Otherwise this silence is included as the lowest level, as in the published preparation.
    """

    rate: int
    window: int
    hop: int
    bands: int = 40
    low: float = 40.0
    high: float = 4000.0
    frames: int = 101
    blank_end: bool = False

    @property
    def samples(self) -> int:
        """Number of samples of sound that are used."""
        return (self.frames - 1) * self.hop

    @cached_property
    def edges(self) -> Array:
        """Start, peak and end of the bands in hertz: band k spans edges k to k + 2."""
        return hertz(np.linspace(mel(self.low), mel(self.high), self.bands + 2))

    @cached_property
    def weights(self) -> Array:
        """Weights of the spectrum in each band, (bands, window//2 + 1)."""
        spectrum = np.fft.rfftfreq(self.window, 1 / self.rate)
        left, peak, right = self.edges[:-2, None], self.edges[1:-1, None], self.edges[2:, None]
        rising, falling = (spectrum - left) / (peak - left), (right - spectrum) / (right - peak)
        return np.maximum(np.minimum(rising, falling), 0) * 2 / (right - left)

    def __call__(self, sound: Array) -> Array:
        """Return the spectrogram of a sound.

        Parameters
        ----------
        sound
            int16, shape (samples,).

        Returns
        -------
        ndarray
            float32, shape (frames, bands); zeros for complete silence.
        """
        from scipy.fft import rfft
        from scipy.signal import get_window

        half = self.window // 2  # frames are centred on their time
        padded = np.zeros(self.samples + 2 * half)
        heard = sound[: self.samples]
        padded[half : half + len(heard)] = heard / _FULL_SCALE
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]
        magnitude = np.abs(rfft(frames * get_window("hann", self.window), axis=1))
        level = 10 * np.log10(np.maximum(magnitude @ self.weights.T, _FLOOR))
        level = np.maximum(level - level.max(), -_RANGE)
        counted = level[: 1 + len(heard) // self.hop] if self.blank_end else level
        made = np.zeros(level.shape, np.float32)
        spread = counted.std()
        made[: len(counted)] = (counted - counted.mean()) / (spread if spread > 0 else 1)
        return made
