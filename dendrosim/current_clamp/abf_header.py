"""Reader of the header of an ABF file (Axon Binary Format, version 1 or 2).

Every value is read at a fixed offset.  Each count is compared with the file's size before memory is
allocated, so that a truncated or damaged file raises an error with a clear message.  The offsets
are those of the header files of Axon Instruments and of pyabf.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from dendrosim.current_clamp.abf_parts import (
    Bytes,
    Channel,
    Epoch,
    Header,
    Output,
    UserList,
    checked,
    gain_of,
    text_of,
)


def read_header(path: str) -> Header:
    """Read the header of an ABF file.

    Raises
    ------
    DendrosimError
        If the file is not ABF, is truncated, or has an inconsistent header.
    """
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        source = Bytes(path, data)
        kind = bytes(data[:4])
        if kind not in (b"ABF ", b"ABF2"):
            raise source.error(
                "it begins neither with 'ABF ' nor with 'ABF2'; recordings of other formats (NWB, "
                "ATF, CSV) are not read"
            )
        return _version_2(source) if kind == b"ABF2" else _version_1(source)


# Version 2: a table of sections


def _section(source: Bytes, place: int, least: int, what: str) -> Iterator[int]:
    """Return an iterator over the offsets of the entries of a section."""
    block, size, count = source.values("IIi", place, what)
    if count and size < least:
        raise source.error(f"an entry of {what} has {size} bytes, not {least} or more")
    source.check(block * 512, size * count, what)
    return (block * 512 + k * size for k in range(count))


def _version_2(source: Bytes) -> Header:
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
                    gain_of(source, text(name), factors, full_scale, resolution),
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
        # the field for the switch of a list is 0 even in applied lists: each list here is on
        output, _, parameter, repeats, index = source.values("4hi", at)
        lists.append(UserList(output, parameter, bool(repeats), text(index)))
    block, size, count = source.values("IIi", 236)
    lengths = [source.one("i", at + 4) for at in _section(source, 316, 8, "the table of sweeps")]
    return checked(
        source, (major, minor), mode, interval, source.one("I", 12), channels, outputs, epochs,
        lists, block * 512, source.one("H", 30), size, count,
        source.one("i", protocol + 22), lengths,
    )  # fmt: skip


def _strings(source: Bytes) -> list[str]:
    """Return the texts of the header by number; number 0 means no text."""
    at = next(_section(source, 220, 1, "the texts"), None)
    if at is None:
        return [""]
    size = source.one("I", 224)
    raw = bytes(source.data[at : at + size])
    # the texts follow a head of 44 bytes, and each ends with a zero byte
    return ["", *(text_of(part) for part in raw[44:].split(b"\0"))]


# Version 1: a fixed layout


def _version_1(source: Bytes) -> Header:
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
    channels = [_channel_1(source, k, full_scale, resolution) for k in sequence]
    outputs, lists = [_output_1(source, k) for k in range(4)], _lists_1(source)
    epochs = [_epoch_1(source, k) for k in range(20)]
    size = 2 if form == 0 else 4
    place, entries = source.values("ii", 92)
    if entries:
        source.check(place * 512, entries * 8, "the table of sweeps")
    lengths = [source.one("i", place * 512 + 8 * k + 4) for k in range(entries)]
    return checked(
        source, (1, round(version * 100) % 100), source.one("h", 8), source.one("f", 122) * number,
        source.one("i", 16), channels, outputs, epochs, lists,
        start + size * source.one("h", 14), form, size, count, source.one("i", 138), lengths,
    )  # fmt: skip


def _channel_1(source: Bytes, k: int, full_scale: float, resolution: int) -> Channel:
    factors = [source.one("f", place + 4 * k) for place in (922, 1050, 730)]
    if source.one("h", 4512 + 2 * k) == 1:
        factors.append(source.one("f", 4576 + 4 * k))
    name = text_of(source.one("10s", 442 + 10 * k))
    return Channel(
        name, text_of(source.one("8s", 602 + 8 * k)), k,
        gain_of(source, name, factors, full_scale, resolution),
        source.one("f", 986 + 4 * k) - source.one("f", 1114 + 4 * k),
    )  # fmt: skip


def _output_1(source: Bytes, k: int) -> Output:
    two = k < 2  # the others have no waveform
    waveform = source.one("h", 2300 + 2 * k) if two and source.one("h", 2296 + 2 * k) else 0
    return Output(
        text_of(source.one("10s", 1306 + 10 * k)), text_of(source.one("8s", 1346 + 8 * k)), k,
        source.one("f", 1394 + 4 * k), waveform, two and bool(source.one("h", 2304 + 2 * k)),
        text_of(source.one("256s", 2736 + 256 * k)) if two else "",
    )  # fmt: skip


def _lists_1(source: Bytes) -> list[UserList]:
    return [
        UserList(
            k, source.one("h", 3368 + 2 * k), bool(source.one("h", 4400 + 2 * k)),
            text_of(source.one("256s", 3376 + 256 * k)),
        )
        for k in range(4)
        if source.one("h", 3360 + 2 * k)
    ]  # fmt: skip


def _epoch_1(source: Bytes, k: int) -> Epoch:
    level, step = source.one("f", 2348 + 4 * k), source.one("f", 2428 + 4 * k)
    duration, longer = source.one("i", 2508 + 4 * k), source.one("i", 2588 + 4 * k)
    kind = source.one("h", 2308 + 2 * k)
    period, width = source.one("i", 2136 + 4 * k), source.one("i", 2216 + 4 * k)
    return Epoch(k // 10, k % 10, kind, level, step, duration, longer, period, width)
