"""exprel and its derivative compared with mpmath, in every precision and implementation."""

from __future__ import annotations

import ctypes
import re
import subprocess
from importlib.resources import files

import mpmath
import numpy as np
import pytest
import torch

from dendrosim.devices.compiler import compiler
from dendrosim.learn.kernels.support import SUPPORT, library
from dendrosim.learn.step.functions import exprel as torch_exprel
from dendrosim.model import exprel
from dendrosim.model.dual import DUAL_FUNCTIONS, Dual
from dendrosim.model.syntax import FUNCTIONS

SIZES = np.concatenate(
    [np.logspace(-300, -20, 60), np.logspace(-20, -3, 60), np.logspace(-3, np.log10(700), 400),
     [0.0, 0.02, 1.0, np.nextafter(1.0, 0), np.nextafter(1.0, 2), 88.0, 88.7, 90.0, 92.0]]
)  # fmt: skip
X = {
    dtype: np.unique(np.concatenate([-SIZES, SIZES]).astype(dtype))
    for dtype in (np.float64, np.float32)
}
#: Largest error in units in the last place.
UNITS = {"value": 4, "slope": 8}


def exact(dtype):
    """Return value and derivative, each rounded once."""
    value, slope = [], []
    with mpmath.workdps(60):
        for number in X[dtype]:
            x = mpmath.mpf(float(number))
            if abs(x) < mpmath.mpf(10) ** -40:  # both equal their limits to 40 digits
                value.append(1.0)
                slope.append(0.5)
                continue
            with mpmath.workdps(120):
                grown = mpmath.expm1(x) / x
                value.append(float(grown))
                slope.append(float((mpmath.exp(x) - grown) / x))
    with np.errstate(over="ignore"):
        return np.array(value).astype(dtype), np.array(slope).astype(dtype)


def check(got, wanted, dtype, what):
    """Compare where exp is finite; beyond, the result may be infinite but not NaN."""
    got, info = np.asarray(got), np.finfo(dtype)
    assert got.dtype == dtype and not np.isnan(got).any()
    finite = X[dtype].astype(float) < np.log(float(info.max)) - 1e-3
    error = np.abs(got[finite].astype(float) - wanted[finite].astype(float))
    units = error / np.maximum(np.abs(wanted[finite]) * info.eps, info.tiny)
    worst = units.argmax()
    assert units[worst] < UNITS[what], (X[dtype][finite][worst], units[worst])
    beyond = got[~finite].astype(float)
    close = np.isclose(beyond, wanted[~finite].astype(float), rtol=1e-5)
    assert (np.isposinf(beyond) | close).all()


TYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@TYPES
def test_numpy(dtype):
    value, slope = exact(dtype)
    with np.errstate(over="ignore"):
        check(FUNCTIONS["exprel"](X[dtype]), value, dtype, "value")
    check(exprel.exprel_slope(X[dtype]), slope, dtype, "slope")


def test_dual_numbers():
    one = np.ones(1)
    found = [DUAL_FUNCTIONS["exprel"](Dual(float(x), one)) for x in X[np.float64]]
    check([f.gradient[0] for f in found], exact(np.float64)[1], np.float64, "slope")
    assert exprel.exprel_slope(0) == 0.5 and exprel.exprel_slope(1) == 1.0


@TYPES
def test_torch(dtype):
    value, slope = exact(dtype)
    x = torch.tensor(X[dtype], requires_grad=True)
    y = torch_exprel(x)
    (by_x,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    check(y.detach(), value, dtype, "value")
    check(by_x.detach(), slope, dtype, "slope")
    (twice,) = torch.autograd.grad(by_x.sum(), x)
    assert not torch.isnan(twice[y.isfinite()]).any()
    if dtype is np.float64:
        near = torch.linspace(-30, 30, 121, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradgradcheck(torch_exprel, near)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compile the functions of the kernels, in both precisions."""
    folder = tmp_path_factory.mktemp("exprel")
    body = "#include <cmath>\n#define INLINE static inline\n"
    for name, kind in (("float64", "double"), ("float32", "float")):
        body += (
            f"namespace of_{name} {{ typedef {kind} T;\n{library('std')}\n{SUPPORT}\n"
            f'extern "C" void {name}(const T* x, T* value, T* slope, int n) {{\n'
            "for (int i = 0; i < n; i++) {\n"
            "value[i] = exprel(x[i]); slope[i] = exprel_slope(x[i], value[i]); } } }\n"
        )
    (folder / "a.cpp").write_text(body)
    subprocess.run(
        [*compiler(), "-O2", "-std=c++17", "-shared", "-fPIC", "a.cpp", "-o", "a.so"],
        cwd=folder, check=True,
    )  # fmt: skip
    return ctypes.CDLL(str(folder / "a.so"))


@TYPES
def test_the_kernels(dtype, compiled):
    """For C++ and CUDA, whose sources have the same text."""
    x = np.ascontiguousarray(X[dtype])
    value, slope = np.empty_like(x), np.empty_like(x)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (x, value, slope)]
    getattr(compiled, np.dtype(dtype).name)(*pointers, len(x))
    check(value, exact(dtype)[0], dtype, "value")
    check(slope, exact(dtype)[1], dtype, "slope")


def test_the_next_term_of_the_series_is_below_half_a_unit():
    for size, dtype in ((8, np.float64), (4, np.float32)):
        terms = exprel.coefficients(size)
        assert terms[:4] == (1 / 2, 1 / 3, 1 / 8, 1 / 30)
        following = (len(terms) + 1) / mpmath.factorial(len(terms) + 2)
        assert following < np.finfo(dtype).eps / 4


def test_there_is_one_threshold():
    """The header of Brian2's programs contains a copy of the constant, so compare it."""
    header = (files("dendrosim.devices") / "cpp_sources" / "exponential.h").read_text()
    assert re.findall(r"const T near = (\S+)L;", header) == [repr(exprel.SMALLEST)]
