"""What the header of an ABF file (Axon Binary Format, version 1 or 2) says.

Every value is read by its place in the file, and each count is compared with the file's size
before anything is allocated: a file that was cut short or damaged ends in one sentence.  The
places are those of the header files of Axon Instruments and of pyabf.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dendrosim.errors import DendrosimError

GAP_FREE, EPISODES = 3, 5  # operation modes; only in the second are waveforms put out


class Channel(NamedTuple):
    """A recorded channel."""

    name: str
    unit: str
    number: int  #: of the input of the digitizer
    gain: float  #: units for each count
    offset: float  #: in units


class Output(NamedTuple):
    """A channel that was put out: a command."""

    name: str
    unit: str
    number: int
    holding: float
    waveform: int  #: 0 none, 1 the table of epochs, 2 a file
    keeps_last: bool  #: whether the last level lasts between sweeps, instead of the holding level
    file: str  #: of the waveform


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
    """A list of values, one a sweep, that replaces a parameter of the table."""

    output: int
    parameter: int
    repeats: bool
    text: str


@dataclass(frozen=True)
class Header:
    """All that is needed of a header."""

    version: tuple[int, int]
    mode: int
    dt: float
    sweeps: int
    points: int  #: samples of a sweep
    channels: tuple[Channel, ...]
    outputs: tuple[Output, ...]
    epochs: tuple[Epoch, ...]
    lists: tuple[UserList, ...]
    start: int  #: byte at which the samples begin
    sample: np.dtype


class _Bytes:
    """A file whose values are read by their place, none of them beyond its end."""

    def __init__(self, path: str, data: Any) -> None:
        self.path, self.data = path, data

    def error(self, what: str) -> DendrosimError:
        return DendrosimError(f"{self.path}: not a readable ABF file: {what}")

    def check(self, start: int, size: int, what: str) -> None:
        if start < 0 or size < 0 or start + size > len(self.data):
            raise self.error(
                f"{what} would lie at bytes {start:,} to {start + size:,}, and the file has "
                f"{len(self.data):,}; it was cut short or is damaged"
            )

    def values(self, form: str, place: int, what: str = "the header") -> tuple:
        self.check(place, struct.calcsize(f"<{form}"), what)
        return struct.unpack_from(f"<{form}", self.data, place)

    def one(self, form: str, place: int, what: str = "the header") -> Any:
        return self.values(form, place, what)[0]


def read_header(path: str) -> Header:
    """Read the header of an ABF file.

    Raises
    ------
    DendrosimError
        If the file is not ABF, is cut short, or its header contradicts itself.
    """
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        source = _Bytes(path, data)
        kind = bytes(data[:4])
        if kind not in (b"ABF ", b"ABF2"):
            raise source.error("it begins neither with 'ABF ' nor with 'ABF2'")
        return _version_2(source) if kind == b"ABF2" else _version_1(source)


# Version 2: a table of sections


def _section(source: _Bytes, place: int, least: int, what: str) -> Iterator[int]:
    """Yield the byte at which each entry of a section begins."""
    block, size, count = source.values("IIi", place, what)
    if count and size < least:
        raise source.error(f"an entry of {what} has {size} bytes, not {least} or more")
    source.check(block * 512, size * count, what)
    return (block * 512 + k * size for k in range(count))


def _version_2(source: _Bytes) -> Header:
    minor, major = source.values("BB", 6)
    strings = _strings(source)

    def text(index: int) -> str:
        return strings[index] if 0 <= index < len(strings) else ""

    protocol = next(_section(source, 76, 208, "the protocol"), None)
    if protocol is None:
        raise source.error("it has no protocol section")
    mode, interval = source.values("hf", protocol)
    full_scale, resolution = source.one("f", protocol + 110), source.one("i", protocol + 118)
    channels = []
    for at in _section(source, 92, 82, "the table of inputs"):
        telegraph, extra = source.one("h", at + 2), source.one("f", at + 6)
        gain, scale = source.one("f", at + 28), source.one("f", at + 40)
        offset, signal, signal_offset = source.values("3f", at + 44)
        name, unit = source.values("ii", at + 74)
        factors = (scale, signal, gain, extra if telegraph == 1 else 1.0)
        channels.append(
            Channel(text(name), text(unit), source.one("h", at),
                    _gain(source, text(name), factors, full_scale, resolution),
                    offset - signal_offset)
        )  # fmt: skip
    outputs = []
    for at in _section(source, 108, 122, "the table of outputs"):
        enabled, waveform, last = source.values("3h", at + 40)
        name, unit = source.values("ii", at + 24)
        outputs.append(
            Output(text(name), text(unit), source.one("h", at), source.one("f", at + 12),
                   waveform if enabled else 0, bool(last), text(source.one("i", at + 118)))
        )  # fmt: skip
    epochs = []
    for at in _section(source, 156, 30, "the table of epochs"):
        number, output, *rest = source.values("3hffiiii", at)
        epochs.append(Epoch(output, number, *rest))
    lists = []
    for at in _section(source, 172, 12, "the user lists"):
        # what would be the switch of a list is 0 in lists that were applied: one that is here is on
        output, _, parameter, repeats, index = source.values("4hi", at)
        lists.append(UserList(output, parameter, bool(repeats), text(index)))
    block, size, count = source.values("IIi", 236)
    lengths = [source.one("i", at + 4) for at in _section(source, 316, 8, "the table of sweeps")]
    return _checked(
        source, (major, minor), mode, interval, source.one("I", 12), channels, outputs, epochs,
        lists, block * 512, source.one("H", 30), size, count,
        source.one("i", protocol + 22), lengths,
    )  # fmt: skip


def _strings(source: _Bytes) -> list[str]:
    """Return the texts of the header by their number; number 0 stands for none."""
    at = next(_section(source, 220, 1, "the texts"), None)
    if at is None:
        return [""]
    size = source.one("I", 224)
    raw = bytes(source.data[at : at + size])
    # after a head of 44 bytes each text ends with a zero
    return ["", *(_text(part) for part in raw[44:].split(b"\0"))]


def _text(raw: bytes) -> str:
    """Return a text; its micro sign is that of Windows."""
    return raw.split(b"\0")[0].decode("latin-1").replace("µ", "u").strip()


# Version 1: a fixed layout


def _version_1(source: _Bytes) -> Header:
    version = source.one("f", 4)
    if not 1 <= version < 2:
        raise source.error(f"its version is {version}")
    start = source.one("i", 40) * 512
    if start < 6144:
        raise source.error(
            f"version {version:.1f} has a short header without the command; save it anew as "
            "ABF 1.8 or 2"
        )
    source.check(0, 6144, "the header")
    form, count = source.one("h", 100), source.one("i", 10)
    number = source.one("h", 120)
    if not 0 < number <= 16:
        raise source.error(f"it has {number} channels, not 1 to 16")
    full_scale, resolution = source.one("f", 244), source.one("i", 252)
    sequence = source.values("16h", 410)[:number]
    if not all(0 <= k < 16 for k in sequence):
        raise source.error("it names inputs beyond 15")
    channels = []
    for k in sequence:
        factors = [source.one("f", place + 4 * k) for place in (922, 1050, 730)]
        if source.one("h", 4512 + 2 * k) == 1:
            factors.append(source.one("f", 4576 + 4 * k))
        name = _text(source.one("10s", 442 + 10 * k))
        channels.append(
            Channel(name, _text(source.one("8s", 602 + 8 * k)), k,
                    _gain(source, name, factors, full_scale, resolution),
                    source.one("f", 986 + 4 * k) - source.one("f", 1114 + 4 * k))
        )  # fmt: skip
    outputs, epochs, lists = [], [], []
    for k in range(4):
        two = k < 2  # the others have no waveform
        waveform = source.one("h", 2300 + 2 * k) if two and source.one("h", 2296 + 2 * k) else 0
        outputs.append(
            Output(_text(source.one("10s", 1306 + 10 * k)), _text(source.one("8s", 1346 + 8 * k)),
                   k, source.one("f", 1394 + 4 * k), waveform,
                   two and bool(source.one("h", 2304 + 2 * k)),
                   _text(source.one("256s", 2736 + 256 * k)) if two else "")
        )  # fmt: skip
        if source.one("h", 3360 + 2 * k):
            lists.append(
                UserList(k, source.one("h", 3368 + 2 * k), bool(source.one("h", 4400 + 2 * k)),
                         _text(source.one("256s", 3376 + 256 * k)))
            )  # fmt: skip
    for k in range(20):
        level, step = source.one("f", 2348 + 4 * k), source.one("f", 2428 + 4 * k)
        duration, longer = source.one("i", 2508 + 4 * k), source.one("i", 2588 + 4 * k)
        kind = source.one("h", 2308 + 2 * k)
        period, width = source.one("i", 2136 + 4 * k), source.one("i", 2216 + 4 * k)
        epochs.append(Epoch(k // 10, k % 10, kind, level, step, duration, longer, period, width))
    size = 2 if form == 0 else 4
    place, entries = source.values("ii", 92)
    if entries:
        source.check(place * 512, entries * 8, "the table of sweeps")
    lengths = [source.one("i", place * 512 + 8 * k + 4) for k in range(entries)]
    return _checked(
        source, (1, round(version * 100) % 100), source.one("h", 8), source.one("f", 122) * number,
        source.one("i", 16), channels, outputs, epochs, lists,
        start + size * source.one("h", 14), form, size, count, source.one("i", 138), lengths,
    )  # fmt: skip


# What both share


def _gain(source: _Bytes, name: str, factors: Any, full_scale: float, resolution: int) -> float:
    """Return how many units one count of the digitizer is."""
    product = float(np.prod(np.array(factors, dtype=float))) * resolution
    gain = full_scale / product if product else np.nan
    if not np.isfinite(gain) or not gain:
        raise source.error(f"the gain of channel {name!r} is {gain}")
    return gain


def _checked(
    source: _Bytes, version: tuple[int, int], mode: int, interval: float, sweeps: int,
    channels: list, outputs: list, epochs: list, lists: list, start: int, form: int, size: int,
    count: int, episode: int, lengths: list[int],
) -> Header:  # fmt: skip
    """Return the header, or say what in it cannot be."""
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
    # the shortest decimal of the file's number: 33.3 us, not 33.29999924
    seconds = float(str(np.float32(interval))) / 1e6
    dtype = np.dtype("<i2") if form == 0 else np.dtype("<f4")
    return Header(
        version, mode, seconds, sweeps, points, tuple(channels), tuple(outputs), tuple(epochs),
        tuple(lists), start, dtype,
    )  # fmt: skip
