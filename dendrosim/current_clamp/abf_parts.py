"""The parts of an ABF header, and the checks shared by both versions."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dendrosim.errors import DendrosimError

GAP_FREE, EPISODES = 3, 5  # operation modes; only EPISODES outputs waveforms


class Channel(NamedTuple):
    """A recorded channel."""

    name: str
    unit: str
    number: int  #: number of the input of the digitizer
    gain: float  #: units per count
    offset: float  #: in units


class Output(NamedTuple):
    """An output channel: a command."""

    name: str
    unit: str
    number: int
    holding: float
    waveform: int  #: 0 none, 1 the table of epochs, 2 a file
    keeps_last: bool  #: whether the last level, not the holding level, is kept between sweeps
    file: str  #: path of the waveform file


class Epoch(NamedTuple):
    """A column of the table of epochs of one output."""

    output: int
    number: int
    kind: int
    level: float
    level_step: float
    duration: int  #: in samples
    duration_step: int
    period: int
    width: int


class UserList(NamedTuple):
    """A list of values, one per sweep, that replaces a parameter of the table."""

    output: int
    parameter: int
    repeats: bool
    text: str


@dataclass(frozen=True)
class Header:
    """The fields of a header that dendrosim needs."""

    version: tuple[int, int]
    mode: int
    dt: float
    sweeps: int
    points: int  #: samples per sweep
    channels: tuple[Channel, ...]
    outputs: tuple[Output, ...]
    epochs: tuple[Epoch, ...]
    lists: tuple[UserList, ...]
    start: int  #: byte at which the samples begin
    sample: np.dtype


class Bytes:
    """The bytes of a file; values are read by offset, with a check against its end."""

    def __init__(self, path: str, data: Any) -> None:
        self.path, self.data = path, data

    def error(self, what: str) -> DendrosimError:
        """Return an error that describes a defect of the file."""
        return DendrosimError(f"{self.path}: not a readable ABF file: {what}")

    def check(self, start: int, size: int, what: str) -> None:
        """Refuse a range of bytes beyond the end of the file."""
        if start < 0 or size < 0 or start + size > len(self.data):
            raise self.error(
                f"{what} would lie at bytes {start:,} to {start + size:,}, and the file has "
                f"{len(self.data):,}; it was cut short or is damaged"
            )

    def values(self, form: str, place: int, what: str = "the header") -> tuple:
        """Return the values of a `struct` format at an offset."""
        self.check(place, struct.calcsize(f"<{form}"), what)
        return struct.unpack_from(f"<{form}", self.data, place)

    def one(self, form: str, place: int, what: str = "the header") -> Any:
        """Return the single value of a `struct` format at an offset."""
        return self.values(form, place, what)[0]


def text_of(raw: bytes) -> str:
    """Return a decoded text; the micro sign of Windows becomes ``u``."""
    return raw.split(b"\0")[0].decode("latin-1").replace("µ", "u").strip()


def gain_of(source: Bytes, name: str, factors: Any, full_scale: float, resolution: int) -> float:
    """Return the units per count of the digitizer."""
    product = float(np.prod(np.array(factors, dtype=float))) * resolution
    gain = full_scale / product if product else np.nan
    if not np.isfinite(gain) or not gain:
        raise source.error(f"the gain of channel {name!r} is {gain}")
    return gain


def checked(
    source: Bytes, version: tuple[int, int], mode: int, interval: float, sweeps: int,
    channels: list, outputs: list, epochs: list, lists: list, start: int, form: int, size: int,
    count: int, episode: int, lengths: list[int],
) -> Header:  # fmt: skip
    """Return the header after checking that its values are possible."""
    if form not in (0, 1) or size != (2, 4)[form]:
        raise source.error(f"its samples have format {form} and {size} bytes")
    if not 0.1 <= interval <= 1e6:
        raise source.error(f"a sample every {interval:g} us")
    if not channels or count <= 0:
        raise source.error(f"it holds {count} samples of {len(channels)} channels")
    source.check(start, size * count, "its samples")
    sweeps = 1 if mode == GAP_FREE or sweeps == 0 else sweeps
    points, over = divmod(count, sweeps * len(channels))
    if sweeps > 1 and lengths and len(set(lengths)) > 1:
        raise DendrosimError(
            f"{source.path}: its sweeps have different lengths, and those of one length are read"
        )
    counted = mode != EPISODES or sweeps == 1 or episode * sweeps == count
    if points < (64 if sweeps > 1 else 1) or (over and sweeps > 1) or not counted:
        raise source.error(
            f"{count:,} samples are not {sweeps:,} whole sweeps of {len(channels)} channels"
        )
    # the shortest decimal of the float32 number in the file: 33.3 us, not 33.29999924
    seconds = float(str(np.float32(interval))) / 1e6
    dtype = np.dtype("<i2") if form == 0 else np.dtype("<f4")
    return Header(
        version, mode, seconds, sweeps, points, tuple(channels), tuple(outputs), tuple(epochs),
        tuple(lists), start, dtype,
    )  # fmt: skip
