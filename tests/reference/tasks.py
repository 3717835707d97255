"""Tasks by definition: random numbers one after another, a log-mel spectrogram sum by sum, bins."""

import math

import numpy as np

MASK = 2**64 - 1


def splitmix64(state, n):
    """Return the first n numbers of SplitMix64, one after another, as Python integers."""
    numbers = []
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(z ^ (z >> 31))
    return numbers


def chirp(rate):
    """Return a second of sound, int16: a rising tone, and another that begins in the middle."""
    t = np.arange(rate) / rate
    tones = 0.3 * np.sin(2 * np.pi * (200 * t + 900 * t**2)) + 0.2 * np.sin(6000 * np.pi * t) * (
        t > 0.5
    )
    return np.round(32768 * tones).astype(np.int16)


def mel_of(hertz):
    """Return the mel of a frequency: 15 mels up to 1 kHz, then 27 for each factor of 6.4."""
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000, 6.4)


def hertz_of(mel):
    """Return the frequency of a mel."""
    return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def triangle(f, left, peak, right):
    """Return the height at f of a triangle of area 1 over left, peak and right."""
    if not left < f < right:
        return 0.0
    side = (f - left) / (peak - left) if f < peak else (right - f) / (right - peak)
    return 2 * side / (right - left)


def log_mel(sound, rate, window, hop, bands=40, low=40.0, high=4000.0, frames=101):
    """Return the z-scored decibels of the bands, shape (frames, bands)."""
    n = np.arange(window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / window)
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(window // 2 + 1), n) / window)
    step = (mel_of(high) - mel_of(low)) / (bands + 1)
    edges = [hertz_of(mel_of(low) + k * step) for k in range(bands + 2)]
    weights = np.array(
        [
            [triangle(f * rate / window, *edges[k : k + 3]) for f in range(window // 2 + 1)]
            for k in range(bands)
        ]
    )
    levels = np.empty((frames, bands))
    for frame in range(frames):
        piece = np.zeros(window)
        for k in range(window):
            at = frame * hop - window // 2 + k
            if 0 <= at < min(len(sound), (frames - 1) * hop):
                piece[k] = sound[at] / 32768
        levels[frame] = np.maximum(weights @ np.abs(fourier @ (piece * hann)), 1e-10)
    levels = 10 * np.log10(levels / levels.max())
    levels = np.maximum(levels, -80)
    return (levels - np.mean(levels)) / np.std(levels)


def binned(times, channels, binning):
    """Return the steps of a sample, spike by spike, as the four codes are described."""
    steps = {"even": 250, "tc_lif": 250, "radlif": 100, "alif": 250}[binning]
    x = np.zeros((steps, 700), np.float32)
    for t, u in zip(times, channels, strict=True):
        if binning == "even":
            edges = [1.4 * k / 250 for k in range(251)]
        elif binning == "alif":
            edges = [k / 250 for k in range(251)]
        else:
            edges = [1.4 * k / (steps - 1) for k in range(steps)]
        passed = sum(edge <= t for edge in edges)  # 0 before the first edge
        if passed in (0, len(edges)):
            continue
        if binning == "alif":
            if u > 0:
                x[passed - 1, 700 - u] = 1
        else:
            x[passed - 1 if binning == "even" else passed, u] += 1
    return x
