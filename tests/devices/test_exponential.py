"""Law: exp and what is made of it in C++, against the same functions of 80-bit numbers."""

import subprocess
from importlib.resources import files

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from dendrosim.devices import cpp
from dendrosim.devices.compiler import compiler

NAMES = ("exp", "expm1", "exprel", "sinh", "cosh", "tanh")
#: Largest distance from the exact result in units in the last place.
UNITS = {"exp": 1.5, "expm1": 2.5, "exprel": 3.0, "sinh": 3.0, "cosh": 2.0, "tanh": 3.0}
DTYPES = ("float64", "float32")

PROGRAM = r"""
#include "exponential.h"
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#define EACH(name) \
    for (int i = 0; i < n; i++) y[i] = dendrosim::name(x[i]); \
    fwrite(y, sizeof(T), n, out);

template <typename T> void all(const int n)
{
    std::vector<T> from(n), to(n);
    const T* __restrict x = from.data();
    T* __restrict y = to.data();
    FILE* in = fopen("x", "rb");
    FILE* out = fopen("y", "wb");
    if (fread(from.data(), sizeof(T), n, in) != size_t(n)) exit(1);
    EACH(exp)
    EACH(expm1)
    EACH(exprel)
    EACH(sinh)
    EACH(cosh)
    EACH(tanh)
    fclose(out);
}

int main(int, char** words)
{
    (std::string(words[1]) == "float64" ? all<double> : all<float>)(atoi(words[2]));
    const bool of_integers = dendrosim::exp(0) == 1 && sizeof(dendrosim::exp(1)) == 8;
    return of_integers ? 0 : 2;
}
"""


class Functions:
    """The functions in C++, with the flags of programs of both types."""

    def __init__(self, folder, flags):
        self.folder = folder
        (folder / "main.cpp").write_text(PROGRAM)
        flags = [*flags, f"-I{files('dendrosim.devices')}/cpp_sources", "-fopt-info-vec-optimized"]
        self.said = self.run(*compiler(), *flags, "-c", "main.cpp").stderr
        # Not with the flags: they link code that makes 0 of small numbers
        self.run(*compiler(), "-o", "main", "main.o")

    def run(self, *command):
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True)

    def __call__(self, x):
        """Map each name to its values."""
        x.tofile(self.folder / "x")
        self.run("./main", x.dtype.name, str(x.size))
        values = np.fromfile(self.folder / "y", dtype=x.dtype).reshape(len(NAMES), -1)
        return dict(zip(NAMES, values, strict=True))


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    return {
        "float64": Functions(tmp_path_factory.mktemp("double"), cpp.FLAGS),
        "float32": Functions(tmp_path_factory.mktemp("single"), [*cpp.FLAGS, *cpp.SINGLE_FLAGS]),
    }


def arguments(dtype, rng):
    """Return arguments of every size, and those around which something changes."""
    most = float(np.log(np.longdouble(np.finfo(dtype).max)))
    halves = np.arange(-2200, 2201) / 2 * np.log(2)  # where k changes
    size = 10.0 ** rng.uniform(-40, 3, 200_000)
    near = [rng.uniform(-w, w, 200_000) for w in (1.05 * most, 40, 2, 0.01)]
    ends = [np.linspace(most - 2, most + 2, 50_000), -np.linspace(most - 4, most + 20, 50_000)]
    steps = [np.nextafter(halves, side) for side in (-np.inf, np.inf)]
    x = np.concatenate([*near, size, -size, *ends, halves, *steps])
    return x.astype(dtype)


def exact(x):
    """Map each name to its values in long double."""
    with np.errstate(all="ignore"):
        x = x.astype(np.longdouble)
        grown = np.expm1(x)
        return {
            "exp": np.exp(x), "expm1": grown, "exprel": np.where(x == 0, 1, grown / x),
            "sinh": np.sinh(x), "cosh": np.cosh(x), "tanh": np.tanh(x),
        }  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_units_in_the_last_place(functions, dtype):
    assert np.finfo(np.longdouble).nmant > 60
    info = np.finfo(dtype)
    x = arguments(dtype, np.random.default_rng(4))
    found, expected = functions[dtype](x), exact(x)
    with np.errstate(over="ignore"):
        nearest = {name: expected[name].astype(dtype) for name in NAMES}
    for name in NAMES:
        y, true = found[name], expected[name]
        normal = np.isfinite(nearest["exp"] if name == "exprel" else nearest[name])
        if name in ("exp", "exprel"):
            normal &= expected["exp"] > 4 * info.tiny
        normal &= np.abs(true) >= info.tiny
        unit = np.spacing(np.abs(nearest[name][normal])).astype(np.longdouble)
        error = np.abs(y[normal] - true[normal]) / unit
        assert error.max() <= UNITS[name], (name, float(error.max()), x[normal][error.argmax()])
        assert error.max() > 0.4  # the rounding alone


@pytest.mark.parametrize("dtype", DTYPES)
def test_beyond_what_numbers_can_be(functions, dtype):
    info = np.finfo(dtype)
    x = arguments(dtype, np.random.default_rng(5))
    found, expected = functions[dtype](x), exact(x)
    for name in NAMES:
        with np.errstate(over="ignore"):
            nearest = expected["exp" if name == "exprel" else name].astype(dtype)
        beyond = np.isinf(nearest)
        assert_array_equal(found[name][beyond], nearest[beyond])
        assert not np.any(np.isinf(found[name][~beyond]))
    small = expected["exp"] <= 4 * info.tiny
    assert small.sum() > 1000
    assert np.all((found["exp"][small] >= 0) & (found["exp"][small] <= 5 * info.tiny))
    assert_array_equal(found["expm1"][small], -1)
    assert_array_equal(found["tanh"][np.abs(x) > 20], np.sign(x[np.abs(x) > 20]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_no_number_stays_none(functions, dtype):
    info = np.finfo(dtype)
    odd = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, info.max, -info.max]
    x = np.tile(np.array(odd, dtype), 9)  # in the vectorised part of the loop and in its rest
    inf, nan = np.inf, np.nan
    limits = {
        "exp": [nan, nan, inf, 0, 1, 1, inf, 0],
        "expm1": [nan, nan, inf, -1, 0, 0, inf, -1],
        "exprel": [nan, nan, inf, 0, 1, 1, inf, 1 / float(info.max)],
        "sinh": [nan, nan, inf, -inf, 0, 0, inf, -inf],
        "cosh": [nan, nan, inf, inf, 1, 1, inf, inf],
        "tanh": [nan, nan, 1, -1, 0, 0, 1, -1],
    }
    for name, values in functions[dtype](x).items():
        assert_array_equal(values, np.tile(np.array(limits[name], dtype), 9), err_msg=name)


def test_doubles_in_a_program_of_floats_are_the_same(functions):
    x = arguments("float64", np.random.default_rng(6))[::7]
    one, other = (functions[dtype](x) for dtype in DTYPES)
    for name in NAMES:
        assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("dtype", DTYPES)
def test_loops_are_vectorised(functions, dtype):
    """A loop of each function in both types: twelve, all in one header and one source."""
    loops = [line for line in functions[dtype].said.splitlines() if "loop vectorized" in line]
    assert len({line.partition(" ")[0] for line in loops if line.startswith("main.cpp")}) == 6
    assert len(loops) >= 12
