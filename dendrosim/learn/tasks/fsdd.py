"""Free Spoken Digit Dataset: digits by six speakers at 8 kHz, with two kinds of features."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.learn.tasks.builder import Builder, Parts, choice, whole
from dendrosim.learn.tasks.cochlea import Cochlea
from dendrosim.learn.tasks.log_mel import LogMel
from dendrosim.learn.tasks.sources import Source
from dendrosim.learn.tasks.stream import Stream
from dendrosim.learn.tasks.task import Later, Split, Stored, set_apart
from dendrosim.learn.tasks.wav import read_wav

CLASSES = 10
RATE = 8_000
#: 30 ms frames every 10 ms, as for Speech Commands.  The clips have no silence at their end and
#: last 0.44 s on average (20 of the 3,000 are longer than 1 s); later frames are 0.
FEATURES = LogMel(rate=RATE, window=240, hop=80, blank_end=True)
#: Same number of steps and channels as the log-mel features, so the shape of the task is the same.
COCHLEA = Cochlea(RATE, FEATURES.hop, FEATURES.frames, FEATURES.bands)
KINDS = {
    "log_mel": lambda sounds: np.stack([FEATURES(sound) for sound in sounds]),
    "cochlea": COCHLEA,
}
#: The official test part: the first recordings of every digit by every speaker.
OFFICIAL_TEST = range(5)
_NAME = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav")
_WHAT = (
    "data (--data) should be the folder or archive of github.com/Jakobovski/"
    "free-spoken-digit-dataset with files such as 7_theo_12.wav"
)


class Clip(NamedTuple):
    """A recording: the digit, the speaker, the number of the take, and the sound."""

    digit: int
    speaker: str
    take: int
    sound: np.ndarray


def make(
    *, data: str | os.PathLike | None, seed: int, held_out: str = "", n_validation: int = 300,
    features: str = "log_mel",
) -> Parts:  # fmt: skip
    """Create the splits: the official ones, or all recordings of one speaker as the test part."""
    kind = choice("task fsdd: features", features, KINDS)
    if data is None:
        raise DendrosimError(f"task fsdd is not downloaded; {_WHAT}")
    clips, checksum = read_clips(data)
    if held_out != "":
        speakers = {clip.speaker: clip.speaker for clip in clips}
        choice("task fsdd: held_out", held_out, speakers)
    tested = np.array(
        [c.speaker == held_out if held_out else c.take in OFFICIAL_TEST for c in clips]
    )
    known = np.flatnonzero(~tested)
    whole("task fsdd: n_validation", n_validation, least=0, most=len(known))
    digits = np.array([clips[k].digit for k in known])
    rest, drawn = set_apart(digits, n_validation, Stream("fsdd", "validation", seed))
    train, validation, test = (
        _heard([clips[k] for k in chosen], kind)
        for chosen in (known[rest], known[drawn], np.flatnonzero(tested))
    )
    facts = {
        "sha256": checksum,
        "cut": sum(len(clip.sound) > FEATURES.samples for clip in clips),
        "test_speakers": sorted({c.speaker for c, t in zip(clips, tested, strict=True) if t}),
    }
    return Parts(FEATURES.bands, CLASSES, FEATURES.frames, train, validation, test, facts)


def read_clips(data: str | os.PathLike) -> tuple[list[Clip], str]:
    """Read all recordings.

    Returns
    -------
    clips : list of Clip
        In the order of their names.
    checksum : str
        SHA-256 of names and contents in that order.

    Raises
    ------
    DendrosimError
        If there are none, or one is invalid.
    """
    source = Source(data, (".wav",), _WHAT)
    names = {name: match for name in source.names if (match := _NAME.fullmatch(name))}
    if not names:
        raise DendrosimError(f"{source.path}: holds no such recordings; {_WHAT}")
    contents = source.read(names)
    clips, checksum = [], hashlib.sha256()
    for name, match in names.items():
        checksum.update(name.encode() + contents[name])
        digit, speaker, take = match.groups()
        sound = read_wav(contents[name], RATE, f"{source.path}: {name}")
        clips.append(Clip(int(digit), speaker, int(take), sound))
    return clips, checksum.hexdigest()


def _heard(clips: list[Clip], kind: Callable) -> Split:
    """Return a split that computes its features at its first batch."""
    digits = [clip.digit for clip in clips]
    return Later(len(clips), lambda: Stored(kind([clip.sound for clip in clips]), digits))


BUILDER = Builder(
    name="fsdd",
    title="Spoken digits (FSDD): 40 mel bands or channels of a cochlea, 10 ms per step",
    reference="Jackson et al., Free Spoken Digit Dataset (CC BY-SA 4.0)",
    shape=(FEATURES.frames, FEATURES.bands, CLASSES),
    samples=(2_400, 300, 300),
    data="folder or archive of the recordings",
    make=make,
)
