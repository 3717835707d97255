"""Mutations by the structure of a file: tables, bytes, heads before data, HDF5.

Each takes a generator of numpy and what is to be changed, and returns the changed thing; the same
seed makes the same file.
"""

from __future__ import annotations

import datetime
import io
import json
import re
import struct
from collections.abc import Callable

import h5py
import numpy as np

DEEP = [[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]
#: Values of no meaning: too large, too small, of another type, deep, strange, or like code.
VALUES = [
    0, -1, 1, 2**31, 2**63 - 1, -(2**63), 10**30, 0.0, -0.0, 1e308, -1e308, 5e-324, 1e-300,
    float("nan"), float("inf"), float("-inf"), True, False, "", " ", "0", "-1", "nan", "inf",
    "1e999", "1e308", "9" * 400, "1 mV", "1 parsec", "mV", "1e400 mV", "-65 mV", "0 ms",
    "-1 ms", "1e30 s", "linspace(0, 1, 1000000000) mV", "linspace(0, 1, -1)",
    "linspace(0, 0, 0) mV", "[1, 2, 3] mV",
    "1/0", "0**-1", "2**10000000", "9**9**9**9", "v_s", "v_s = v_s", "x = 1", "x = x\nx = 2",
    "dv_s/dt = v_s : volt", "__import__('os').system('touch ran')", "().__class__", "lambda: 0",
    "f'{x}'", "exp(" * 300 + "1" + ")" * 300, "-" * 2000 + "1", "(" * 500, "a.b.c", "a" * 20_000,
    "if", "cdef", "None", "self", "lif", "lstm_lif", "no_such_model", "/dev/zero",
    "../../etc/passwd", "/", "\x00", "\n", "é", "µ", "ｖ_ｓ", "\u202e", "\U0001f600", "'''", '"',
    "\\", "#",
    "$x^2$", "%s", "{0}", [], [[]], {}, {"": {}}, [1, "a"], [0.5] * 100, {"value": "1"},
    {"value": {"value": 1}}, DEEP, {"a b": 1, "c.d": 2}, datetime.date(1979, 5, 27),
    datetime.time(7, 32), datetime.datetime(1979, 5, 27, 7, 32),
]  # fmt: skip
WORDS = [
    "", "é", "a b", "a.b", "__class__", "if", "cdef", "value", "dt", "t", "i", "N", "pi", "exp",
    "v_s", "U", "S", "I", "x" * 300, "\x7f", "0", "-", "'", '"',
]  # fmt: skip
SIZES = [0, 1, 7, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 16,
         2**64 - 8, 2**64 - 1]  # fmt: skip


def pick(rng: np.random.Generator, options):
    """Return one of some options."""
    return options[int(rng.integers(len(options)))]


# Tables


def table(rng: np.random.Generator, content):
    """Change one to three places of nested tables and lists."""
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(content))
        if not places:
            return pick(rng, VALUES)
        holder, key = pick(rng, places)
        kind = int(rng.integers(7))
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[pick(rng, WORDS)] = holder.pop(key)
        elif kind == 2:
            holder[key] = {pick(rng, WORDS): holder[key]}
        elif kind == 3:
            other, theirs = pick(rng, places)
            if _is_in(other, theirs):
                holder[key] = _copy(other[theirs])
        elif kind == 4 and isinstance(holder[key], str) and holder[key]:
            holder[key] = text(rng, holder[key])
        elif kind == 5 and isinstance(holder, dict):
            holder[pick(rng, WORDS)] = _copy(pick(rng, VALUES))
        else:
            holder[key] = _copy(pick(rng, VALUES))
    return content


def _places(content):
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        yield content, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _is_in(holder, key) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _copy(value):
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def text(rng: np.random.Generator, written: str) -> str:
    """Change a text by a word, a sign or a line."""
    kind = int(rng.integers(5))
    at = int(rng.integers(len(written) + 1))
    if kind == 0:
        return written[:at]
    if kind == 1:
        return (
            written[:at]
            + pick(rng, "()*+-/=<>:#.,'\"\\\n\t~^%@[]{}0aé\x00\x7f")
            + written[at + 1 :]
        )
    if kind == 2:
        words = re.findall(r"\w+", written)
        old = pick(rng, words) if words else written
        return written.replace(old, str(pick(rng, [*WORDS, *words, *map(str, VALUES[:25])])), 1)
    lines = written.splitlines()
    if lines:
        line = pick(rng, lines)
        lines.insert(
            int(rng.integers(len(lines) + 1)), line if kind == 3 else str(pick(rng, VALUES))
        )
    return "\n".join(lines)


# Bytes


def data(rng: np.random.Generator, content: bytes) -> bytes:
    """Cut bytes off, flip some, repeat or zero some, or write a size that lies."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(6))
        at = int(rng.integers(len(changed))) if changed else 0
        # Heads lie at the beginning, and what they lead to seldom further than this
        at = int(at ** rng.uniform(0.4, 1)) if kind else at
        length = int(rng.integers(1, 64))
        if kind == 0:
            changed = changed[:at]
        elif kind == 1 and changed:
            for _ in range(int(rng.integers(1, 9))):
                changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            changed[at : at + length] = bytes(length)
        elif kind == 3:
            changed[at:at] = changed[at : at + length]
        else:
            width = pick(rng, [1, 2, 4, 8])
            order = pick(rng, ["little", "big"])
            value = pick(rng, SIZES) % 2 ** (8 * width)
            at -= at % width if kind == 4 else 0
            changed[at : at + width] = value.to_bytes(width, order)
    return bytes(changed)


def heap(rng: np.random.Generator, content: bytes) -> bytes:
    """Change the number or the length of an object in a global heap of an HDF5 file."""
    changed, start = bytearray(content), content.find(b"GCOL")
    if start < 0:
        return data(rng, content)
    at = start + 16
    while rng.random() < 0.6:
        (length,) = struct.unpack_from("<Q", content, at + 8)
        if at + 32 + length > start + 4096:
            break
        at += 16 + -(-length // 8) * 8
    struct.pack_into("<Q", changed, at + pick(rng, [0, 8, 8]), pick(rng, SIZES))
    return bytes(changed)


# Heads before data


def safetensors(rng: np.random.Generator, content: bytes) -> bytes:
    """Change the head of a safetensors file as a table, and the JSON that its texts are."""
    (length,) = struct.unpack_from("<Q", content)
    head, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    inner = [key for key, value in head.get("__metadata__", {}).items() if value[:1] in "[{"]
    if inner and rng.random() < 0.7:
        key = pick(rng, inner)
        changed = table(rng, json.loads(head["__metadata__"][key]))
        head["__metadata__"][key] = json.dumps(changed, default=str)
    else:
        head = table(rng, head)
    written = json.dumps(head, default=str).encode()
    size = len(written) if rng.random() < 0.9 else pick(rng, SIZES)
    return struct.pack("<Q", size) + written + rest


def npy(rng: np.random.Generator, content: bytes) -> bytes:
    """Change the head of a .npy file."""
    head = str(np.lib.format.read_array_header_1_0(io.BytesIO(content[8:])))
    shapes = [
        "(10**9, 10**9)",
        "(-1, 3)",
        "()",
        "(2**70,)",
        "3",
        "(1, 2, 3",
        "('a',)",
        "(1.5,)",
        "1+1",
    ]
    types = [
        "|O",
        "<f8",
        ">f4",
        "V8",
        "<U3",
        "f99",
        "<M8[ns]",
        "<c16",
        "[('a', '<f8')]",
        "<i2",
        "'",
    ]
    shape, kind = pick(rng, shapes), pick(rng, types)
    head = pick(rng, [
        f"{{'descr': '{kind}', 'fortran_order': False, 'shape': (4, 3), }}",
        f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}",
        f"{{'descr': '{kind}', 'fortran_order': {pick(rng, VALUES)!r}, 'shape': {shape}}}",
        f"{{'descr': __import__('os').system('touch ran'), 'shape': {shape}}}",
        text(rng, head), "", "[" * 300, repr(pick(rng, VALUES)),
    ])  # fmt: skip
    head = head.encode("utf-8", "replace") + b" " * 20 + b"\n"
    size = len(head) if rng.random() < 0.9 else pick(rng, SIZES) % 2**16
    version = pick(rng, [1, 1, 1, 2, 3, 9])
    width = "<H" if version == 1 else "<I"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(width, size) + head + content[128:]


# HDF5


def hdf5(rng: np.random.Generator, content: bytes) -> bytes:
    """Delete, rename or replace data sets, groups and attributes of an HDF5 file."""
    stream = io.BytesIO(content)
    with h5py.File(stream, "r+") as file:
        for _ in range(int(rng.integers(1, 4))):
            names: list[str] = []
            file.visit(names.append)
            if names:
                _change_item(rng, file, pick(rng, names))
    return stream.getvalue()


def _change_item(rng: np.random.Generator, file: h5py.File, name: str) -> None:
    item = file[name]
    kind = int(rng.integers(6))
    word = pick(rng, [w for w in WORDS if w and "/" not in w and "\x00" not in w])
    if kind == 0:
        del file[name]
    elif kind == 1 and word not in file:
        file.move(name, word)
    elif kind == 2 and len(item.attrs):
        key = pick(rng, list(item.attrs))
        _write(lambda value: item.attrs.__setitem__(key, value), rng)
    elif kind == 3 and isinstance(item, h5py.Dataset):
        shape = pick(rng, [(), (0,), (1,), (3,), (2, 3), (10**6, 10**6), (1,) * 20])
        dtype = pick(rng, ["f8", "f4", "i1", "u8", "S5", "c16", "?", h5py.string_dtype()])
        del file[name]
        file.create_dataset(name, shape, dtype, chunks=True if shape and 0 not in shape else None)
    else:
        del file[name]
        _write(lambda value: file.__setitem__(name, value), rng)


def _write(put: Callable, rng: np.random.Generator) -> None:
    value = pick(rng, [*VALUES, np.full(6, np.nan), np.ones(6, "i1"), np.array([b"0.1"] * 6)])
    if isinstance(value, str):
        value = text(rng, value[:2000]).replace("\x00", "")
    try:
        put(value)
    except (TypeError, ValueError, OverflowError, OSError, UnicodeError):  # what HDF5 cannot hold
        put(0.5)
