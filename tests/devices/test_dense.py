"""Law: the sums of a layer in C++ are those of its matrix, for every size and number of spikes."""

import subprocess
from importlib.resources import files

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dendrosim.devices import cpp
from dendrosim.devices.compiler import compiler

#: Sources and targets: under and over a register, over several, and with all kinds of rests.
SIZES = [(1, 1), (3, 7), (5, 8), (17, 9), (64, 33), (10, 100), (40, 231), (256, 256)]

PROGRAM = r"""
#include "dense.h"
#include <cstdio>

template <int n_in, int n, typename T> void layer(FILE* in, FILE* out)
{
    static T source[n_in], table[n_in*n], sums[n];
    if (fread(source, sizeof(T), n_in, in) + fread(table, sizeof(T), n_in*n, in) < n_in + n_in*n)
        return;
    dendrosim::weighted_rows<n_in, n>(source, table, sums);
    fwrite(sums, sizeof(T), n, out);
}

template <typename T> void all(const char* from, const char* to)
{
    FILE* in = fopen(from, "rb");
    FILE* out = fopen(to, "wb");
    LAYERS
    fclose(out);
}

int main()
{
    all<double>("float64.in", "float64.out");
    all<float>("float32.in", "float32.out");
}
"""


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    """Return a function of sources and matrices of all sizes."""
    folder = tmp_path_factory.mktemp("dense")
    layers = "\n".join(f"layer<{a}, {b}, T>(in, out);" for a, b in SIZES)
    (folder / "main.cpp").write_text(PROGRAM.replace("LAYERS", layers))
    flags = [*cpp.FLAGS, f"-I{files('dendrosim.devices')}/cpp_sources"]
    subprocess.run([*compiler(), *flags, "-o", "main", "main.cpp"], cwd=folder, check=True)

    def run(dtype, sources, tables):
        for name in ("float64.in", "float32.in"):
            (folder / name).write_bytes(b"")
        parts = [part.astype(dtype).ravel() for pair in zip(sources, tables, strict=True)
                 for part in pair]  # fmt: skip
        np.concatenate(parts).tofile(folder / f"{dtype}.in")
        subprocess.run(["./main"], cwd=folder, check=True)
        flat = np.fromfile(folder / f"{dtype}.out", dtype=dtype)
        return np.split(flat, np.cumsum([n for _, n in SIZES])[:-1])

    return run


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])
def test_whole_numbers_are_summed_exactly(sums, dtype, rate):
    rng = np.random.default_rng(7)
    sources = [(rng.random(a) < rate) * rng.integers(-3, 4, a) for a, _ in SIZES]
    tables = [rng.integers(-50, 51, (a, b)) for a, b in SIZES]
    for found, s, w in zip(sums(dtype, sources, tables), sources, tables, strict=True):
        assert_array_equal(found, s @ w)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sums_are_taken_in_the_order_of_the_rows(sums, dtype):
    """To the last digit: with 1 for a spike there is one rounding a row, on every device."""
    rng = np.random.default_rng(8)
    sources = [rng.integers(0, 2, a) for a, _ in SIZES]
    tables = [rng.normal(size=(a, b)).astype(dtype) for a, b in SIZES]
    for found, s, w in zip(sums(dtype, sources, tables), sources, tables, strict=True):
        expected = np.zeros(w.shape[1], dtype)
        for row in np.flatnonzero(s):
            expected += w[row]
        assert_array_equal(found, expected)


def test_a_silent_source_has_no_part(sums):
    """Not even if its weights are no numbers."""
    sources = [np.arange(a) % 2 for a, _ in SIZES]
    tables = [np.where(np.arange(a)[:, None] % 2, 1.0, np.nan) + np.zeros((a, b)) for a, b in SIZES]
    for found, s in zip(sums("float64", sources, tables), sources, strict=True):
        assert_array_equal(found, float(s.sum()))
