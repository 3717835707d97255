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


def abf1(path, data, channels=(("Vm", "mV"),), outputs=(("Inj", "pA"),), epochs=(), holding=0.0,
         listed=None, waveform=True, dt=50e-6, version=1.84):  # fmt: skip
    """Write an ABF 1 file with samples of int16, 0.1 units a count; arguments as of `abf2`.

    listed: (parameter, repeats, text) of the first output.
    """
    counts = np.rint(np.asarray(data) * 10).astype("<i2")
    sweeps, points, n = counts.shape
    head = bytearray(6144)
    put = struct.pack_into
    head[:4] = b"ABF "
    put("<f", head, 4, version)
    put("<hihi", head, 8, 5, counts.size, 0, sweeps)
    put("<i", head, 24, 1)
    put("<i", head, 20, 20200101)
    put("<i", head, 40, len(head) // BLOCK)
    put("<hf", head, 120, n, dt * 1e6 / n)
    put("<i", head, 138, points * n)
    put("<f", head, 244, 10.0)
    put("<i", head, 252, 32768)
    put("<16h", head, 410, *range(n), *[-1] * (16 - n))
    for k, (name, unit) in enumerate(channels):
        put("<10s", head, 442 + 10 * k, name.encode())
        put("<8s", head, 602 + 8 * k, unit.encode())
    for place, value in ((730, 1.0), (922, 10 / 3276.8), (1050, 1.0), (4576, 1.0)):
        put("<16f", head, place, *[value] * 16)
    for k, (name, unit) in enumerate(outputs):
        put("<10s", head, 1306 + 10 * k, name.encode())
        put("<8s", head, 1346 + 8 * k, unit.encode())
        put("<f", head, 1394 + 4 * k, holding)
    put("<hh", head, 2296, int(waveform), 0)
    put("<hh", head, 2300, 1, 1)
    for output, number, kind, level, step, duration, longer, *train in epochs:
        k = 10 * output + number
        put("<h", head, 2308 + 2 * k, kind)
        for place, form, value in ((2348, "f", level), (2428, "f", step), (2508, "i", duration),
                                   (2588, "i", longer)):  # fmt: skip
            put(f"<{form}", head, place + 4 * k, value)
        if train:
            put("<i", head, 2136 + 4 * k, train[0])
            put("<i", head, 2216 + 4 * k, train[1])
    if listed is not None:
        parameter, repeats, text = listed
        put("<h", head, 3360, 1)
        put("<h", head, 3368, parameter)
        put("<256s", head, 3376, text.encode())
        put("<h", head, 4400, repeats)
    path.write_bytes(bytes(head) + counts.tobytes())
    return path
