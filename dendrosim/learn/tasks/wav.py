"""Sound from wav files: 16-bit PCM, one channel, at the sampling rate of the task."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from dendrosim.errors import DendrosimError


def read_wav(source: Path | bytes, rate: int, where: str, most: int | None = None) -> np.ndarray:
    """Read a sound file.

    Parameters
    ----------
    source
        The file, or its content.
    rate
        Required sampling rate in Hz.
    where
        File name, for error messages.
    most
        Maximum number of samples to read; by default all.

    Returns
    -------
    ndarray
        int16, shape (samples,).

    Raises
    ------
    DendrosimError
        If it is not a wav file, has another rate, width or number of channels, or is cut short.
    """
    try:
        with wave.open(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as file:
            found = (file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
            if found != (rate, 1, 16):
                raise DendrosimError(
                    f"{where}: {found[0]} Hz, {found[1]} channel(s), {found[2]} bits; needed are "
                    f"{rate} Hz, 1 channel, 16 bits"
                )
            due = file.getnframes() if most is None else min(file.getnframes(), most)
            content = file.readframes(due)
    except (wave.Error, EOFError) as error:
        raise DendrosimError(
            f"{where}: not a wav file of 16-bit PCM ({str(error) or 'cut short'})"
        ) from None
    except OSError as error:
        raise DendrosimError(f"{where}: {error.strerror}") from None
    if len(content) != 2 * due:
        raise DendrosimError(f"{where}: cut short: {len(content) // 2} of {due} samples are there")
    return np.frombuffer(content, "<i2")
