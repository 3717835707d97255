"""Google Speech Commands, version 2: ten words, all others, silence; as log-mel spectrograms."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.files import path_text, replacing
from dendrosim.learn.tasks.builder import Builder, Parts
from dendrosim.learn.tasks.fetch import fetch, kept, untarred
from dendrosim.learn.tasks.log_mel import LogMel
from dendrosim.learn.tasks.task import Later, Split, Stored
from dendrosim.learn.tasks.wav import read_wav
from dendrosim.progress import progress_bar

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = len(WORDS), len(WORDS) + 1
CLASSES = len(WORDS) + 2
RATE = 16_000
FEATURES = LogMel(rate=RATE, window=480, hop=160)
NOISE = "_background_noise_"
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
URL = "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
SHA256 = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
_WHAT = (
    "data (--data) should be the unpacked folder of speech_commands_v0.02, with a folder of wav "
    "files for each word, validation_list.txt and testing_list.txt"
)


def make(*, data: str | os.PathLike | None, seed: int) -> Parts:
    """Create the published splits.

    As in the published preparation, all other words are "unknown", and "silence" is the first
    second of each long background file, only in the training part; the seed has no effect.
    """
    if data is None:
        archive = fetch(URL, f"sha256:{SHA256}", _WHAT)
        data = untarred(archive, kept("data") / "speech_commands_v0.02")
    folder = Path(path_text(data, "folder of wav files"))
    names, digest = _names(folder)
    splits = {part: _spectrograms(folder, names[part]) for part in names}
    labels = np.array([_label(name) for name in names["train"]])
    facts = {
        "lists_sha256": digest,
        "train_samples": np.bincount(labels, minlength=CLASSES).tolist(),
    }
    return Parts(FEATURES.bands, CLASSES, FEATURES.frames, **splits, facts=facts)


def _names(folder: Path) -> tuple[dict[str, list[str]], str]:
    """Return the file names (``word/file.wav``) of each part, sorted, and the checksum of all."""
    if not folder.is_dir():
        raise DendrosimError(f"{folder}: there is no such folder; {_WHAT}")
    missing = [name for name in (*WORDS, *LISTS.values()) if not (folder / name).exists()]
    if missing:
        raise DendrosimError(f"{folder}: holds no {missing[0]}; {_WHAT}")
    present = {
        f"{word.name}/{path.name}"
        for word in folder.iterdir()
        if word.is_dir() and word.name != NOISE
        for path in word.glob("*.wav")
    }
    names, digest = {}, hashlib.sha256()
    for part, file in LISTS.items():
        try:
            text = (folder / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise DendrosimError(f"{folder / file}: not a readable list of files") from None
        digest.update(text.encode())
        names[part] = sorted({line.strip() for line in text.splitlines()} - {""})
        absent = [name for name in names[part] if name not in present]
        if absent:
            raise DendrosimError(f"{folder / file}: names {absent[0]}, which is not there")
    both = sorted(set(names["validation"]) & set(names["test"]))
    if both:
        raise DendrosimError(f"{folder}: {both[0]} is in {' and in '.join(LISTS.values())}")
    noise = [f"{NOISE}/{path.name}" for path in (folder / NOISE).glob("*.wav")]
    names["train"] = sorted(present.difference(*names.values())) + sorted(noise)
    return names, digest.hexdigest()


def _label(name: str) -> int:
    word = name.partition("/")[0]
    if word == NOISE:
        return SILENCE
    return WORDS.index(word) if word in WORDS else UNKNOWN


def _spectrograms(folder: Path, names: Sequence[str]) -> Split:
    """Return a split that stores its spectrograms in a cache file, created at the first batch."""
    labels = [_label(name) for name in names]
    return Later(len(names), lambda: Stored(_computed(folder, names), labels))


def _computed(folder: Path, names: Sequence[str]) -> np.ndarray:
    """Return the spectrograms, memory-mapped from the cache: 1.4 GB for the training part."""
    path = kept("features") / f"gsc-{_key(folder, names)}.npy"
    if not path.is_file():
        shape = (len(names), FEATURES.frames, FEATURES.bands)
        with replacing(path) as temporary, progress_bar(None, "log-mel spectrograms") as tell:
            rows = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
            with temporary.open("r+b") as file:  # a full disk raises an error here
                os.posix_fallocate(file.fileno(), 0, temporary.stat().st_size)
            for k, name in enumerate(names):
                sound = folder / name
                rows[k] = FEATURES(read_wav(sound, RATE, str(sound), FEATURES.samples))
                if tell:
                    tell((k + 1) / len(names))
            rows.flush()
    return np.load(path, mmap_mode="r")


def _key(folder: Path, names: Sequence[str]) -> str:
    """Return the key of a spectrogram file; it depends on the features and on all wav files."""
    digest = hashlib.sha256(repr(FEATURES).encode())
    for name in names:
        state = (folder / name).stat()
        digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:24]


BUILDER = Builder(
    name="gsc",
    title="Google Speech Commands v2, 12 classes: 40 mel bands, 10 ms per step",
    reference="Warden (2018); Zhang et al. (2023), B.1",
    shape=(FEATURES.frames, FEATURES.bands, CLASSES),
    samples=(84_849, 9_981, 11_005),
    data="unpacked folder of wav files; downloaded (2.4 GB) where there is a network",
    make=make,
)
