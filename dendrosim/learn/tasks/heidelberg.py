"""Spiking Heidelberg Digits and Spiking Speech Commands: spikes in 700 channels, from HDF5."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dendrosim.errors import DendrosimError
from dendrosim.files import path_text
from dendrosim.hdf5 import check_hdf5
from dendrosim.learn.tasks.binnings import BINNINGS, CHANNELS, Binning
from dendrosim.learn.tasks.builder import Builder, Parts, choice, whole
from dendrosim.learn.tasks.fetch import fetch, unzipped
from dendrosim.learn.tasks.stream import Stream
from dendrosim.learn.tasks.task import Batch, Part, Split, set_apart, within

URL = "https://zenkelab.org/datasets/"
#: MD5 of the published zip archive of each file.
PUBLISHED = {
    "shd_train.h5": "f3252aeb598ac776c1b526422d90eecb",
    "shd_test.h5": "1503a5064faa34311c398fb0a1ed0a6f",
    "ssc_train.h5": "d102be95e7144fcc0553d1f45ba94170",
    "ssc_valid.h5": "b4eee3516a4a90dd0c71a6ac23a8ae43",
    "ssc_test.h5": "a35ff1e9cffdd02a20eb850c17c37748",
}
KEYS = ("spikes/times", "spikes/units", "labels")


class Spikes(Split):
    """Samples of a file, binned when a batch requests them: only the labels stay in memory.

    Parameters
    ----------
    path
        HDF5 file with the keys `KEYS`.
    classes
        Number of classes.
    binning
        Mapping from spikes to steps.

    Raises
    ------
    DendrosimError
        If a key is missing, lengths differ or a label is not a valid class.
    """

    def __init__(self, path: Path, classes: int, binning: Binning) -> None:
        self.path, self.binning = path, binning
        check_hdf5(path)  # once, not for every batch
        with _opened(path) as file:
            labels = np.asarray(file["labels"])
            lengths = [len(file[key]) for key in KEYS]
        if len(set(lengths)) != 1:
            told = ", ".join(f"{key} {n}" for key, n in zip(KEYS, lengths, strict=True))
            raise DendrosimError(f"{path}: lengths differ ({told})")
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or not np.isin(
            labels, np.arange(classes)
        ).all():  # fmt: skip
            raise DendrosimError(f"{path}: labels should be whole numbers from 0 to {classes - 1}")
        self.labels = labels.astype(np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> Batch:
        """Return samples, x of shape (B, steps, 700); see `Split.batch`."""
        indices = within(indices, len(self))
        x = np.zeros((len(indices), self.binning.steps, CHANNELS), np.float32)
        with _opened(self.path) as file:
            times, units = file["spikes/times"], file["spikes/units"]
            for row, k in zip(x, indices, strict=True):
                self.binning.add(row, *self._sample(times, units, k))
        return x, self.labels[indices]

    def _sample(self, times: Any, units: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
        where = f"{self.path}: sample {k}"
        try:
            seconds, channels = np.asarray(times[k], float), np.asarray(units[k], np.int64)
        except (OSError, ValueError, TypeError) as error:
            raise DendrosimError(f"{where}: cannot be read ({error})") from None
        if seconds.shape != channels.shape or seconds.ndim != 1:
            raise DendrosimError(f"{where}: {seconds.size} times for {channels.size} units")
        if not np.isfinite(seconds).all() or seconds.min(initial=0) < 0:
            raise DendrosimError(f"{where}: a spike time is not a number of seconds from 0")
        if channels.min(initial=0) < 0 or channels.max(initial=0) >= CHANNELS:
            raise DendrosimError(f"{where}: a unit is not from 0 to {CHANNELS - 1}")
        return seconds, channels


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file and check its keys; closing it afterwards lets several processes share it."""
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DendrosimError(f"{path}: not a readable HDF5 file ({error})") from None
    with file:
        for key in KEYS:
            if not isinstance(file.get(key), h5py.Dataset):
                raise DendrosimError(
                    f"{path}: has no {key!r}; needed are {', '.join(map(repr, KEYS))}"
                )
        yield file


def make_shd(
    *,
    data: str | os.PathLike | None,
    seed: int,
    binning: str = "even",
    n_validation: int = 800,
) -> Parts:
    """Create the published test part, and a validation part drawn from the training file."""
    how = choice("task shd: binning", binning, BINNINGS)
    known, test = (Spikes(_file(data, name), 20, how) for name in ("shd_train.h5", "shd_test.h5"))
    whole("task shd: n_validation", n_validation, least=0, most=len(known))
    rest, drawn = set_apart(known.labels, n_validation, Stream("shd", "validation", seed))
    return Parts(CHANNELS, 20, how.steps, Part(known, rest), Part(known, drawn), test)


def make_ssc(*, data: str | os.PathLike | None, seed: int, binning: str = "even") -> Parts:
    """Create the published splits; the seed has no effect."""
    how = choice("task ssc: binning", binning, BINNINGS)
    names = ("ssc_train.h5", "ssc_valid.h5", "ssc_test.h5")
    train, validation, test = (Spikes(_file(data, name), 35, how) for name in names)
    return Parts(CHANNELS, 35, how.steps, train, validation, test)


def _file(data: str | os.PathLike | None, name: str) -> Path:
    """Return a file from the folder `data`, or from the cache."""
    what = f"data (--data) should be a folder with {name}, unpacked, from {URL}"
    if data is None:
        return unzipped(fetch(f"{URL}{name}.zip", f"md5:{PUBLISHED[name]}", what), name)
    path = Path(path_text(data, "folder of HDF5 files")) / name
    if not path.is_file():
        raise DendrosimError(f"{path}: there is no such file; {what}")
    return path


_REFERENCE = "Cramer et al. (2020), doi:10.1109/TNNLS.2020.3044364"

BUILDERS = (
    Builder(
        name="shd",
        title="Spiking Heidelberg Digits: spoken digits in German and English as spikes",
        reference=_REFERENCE,
        shape=(250, CHANNELS, 20),
        samples=(7_356, 800, 2_264),
        data="folder with shd_train.h5 and shd_test.h5; downloaded where there is a network",
        make=make_shd,
    ),
    Builder(
        name="ssc",
        title="Spiking Speech Commands: 35 spoken words as spikes",
        reference=_REFERENCE,
        shape=(250, CHANNELS, 35),
        samples=(75_466, 9_981, 20_382),
        data="folder with ssc_train.h5, ssc_valid.h5 and ssc_test.h5; downloaded where there is a "
        "network",
        make=make_ssc,
    ),
)
