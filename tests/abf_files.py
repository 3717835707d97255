"""Small ABF 2 files for tests, written byte by byte; pyabf reads them as ours does."""

import struct

import numpy as np

BLOCK = 512


def abf2(
    path, data, channels=(("IN 0", "mV"),), outputs=(("Cmd 0", "pA"),), epochs=(), lists=(),
    waveform=None, dt=50e-6, version=(2, 6), mode=5, holding=0.0, physical=None, last=False,
):  # fmt: skip
    """Write a file.

    data: (sweeps, points, channels), in the channels' units, kept as float32.
    epochs: (output, number, kind, level, step, duration, longer[, period, width]).
    lists: (output, parameter, repeats, text).
    waveform: for each output whether it has one; the first alone by default.
    """
    data = np.asarray(data, dtype=np.float32)
    sweeps, points, n = data.shape
    assert n == len(channels)
    waveform = [k == 0 for k in range(len(outputs))] if waveform is None else waveform
    names = []

    def text(string):
        names.append(string)
        return len(names)

    text("Clampex")
    protocol = bytearray(512)
    struct.pack_into("<hf", protocol, 0, mode, dt * 1e6)
    struct.pack_into("<i", protocol, 22, points * n)
    struct.pack_into("<f", protocol, 110, 10.0)
    struct.pack_into("<i", protocol, 118, 32768)
    struct.pack_into("<h", protocol, 142, -1)  # no output drives the digital ones
    inputs = b""
    for k, (name, unit) in enumerate(channels):
        entry = bytearray(128)
        struct.pack_into("<h", entry, 0, k if physical is None else physical[k])
        struct.pack_into("<f", entry, 28, 1.0)
        struct.pack_into("<3f", entry, 40, 1.0, 0.0, 1.0)
        struct.pack_into("<ii", entry, 74, text(name), text(unit))
        inputs += entry
    given = b""
    for k, (name, unit) in enumerate(outputs):
        entry = bytearray(256)
        struct.pack_into("<h", entry, 0, k)
        struct.pack_into("<f", entry, 12, holding)
        struct.pack_into("<ii", entry, 24, text(name), text(unit))
        struct.pack_into("<3h", entry, 40, int(waveform[k]), 1, int(last))
        given += entry
    table = b""
    for output, number, *rest in epochs:
        entry = bytearray(48)
        rest = (*rest, 0, 0)[:7]
        struct.pack_into("<3hffiiii", entry, 0, number, output, *rest)
        table += entry
    listed = b""
    for output, parameter, repeats, values in lists:
        entry = bytearray(64)
        struct.pack_into("<4hi", entry, 0, output, 0, parameter, repeats, text(values))
        listed += entry
    texts = b"SSCH" + bytes(40) + b"\0".join(name.encode("latin-1") for name in names) + b"\0"
    if len(texts) % 2 == 0:
        texts += b"\0"
    head = bytearray(BLOCK)
    head[:8] = b"ABF2" + bytes([0, 0, version[1], version[0]])
    struct.pack_into("<II", head, 8, 512, sweeps)
    struct.pack_into("<I", head, 16, 20200101)
    struct.pack_into("<HH", head, 28, 1, 1)
    lengths = struct.pack("<2i", 0, points * n) * sweeps
    body, at = b"", 1
    sections = [(76, protocol, 512), (92, inputs, 128), (108, given, 256), (156, table, 48),
                (172, listed, 64), (220, texts, len(texts)), (236, data.tobytes(), 4),
                (316, lengths, 8)]  # fmt: skip
    for place, content, size in sections:
        count = len(content) // size
        struct.pack_into("<IIq", head, place, at if count else 0, size, count)
        content = bytes(content) + bytes(-len(content) % BLOCK)
        body, at = body + content, at + len(content) // BLOCK
    path.write_bytes(bytes(head) + body)
    return path


def resting(sweeps=1, points=2048, channels=1):
    """Return data of a cell that rests at -65 mV in its first channel, all others 0."""
    data = np.zeros((sweeps, points, channels), dtype=np.float32)
    data[:, :, 0] = -65.0
    return data
