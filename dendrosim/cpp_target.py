"""What is particular to C++ standalone: compiler, flags, functions that vectorise, main loop."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import brian2 as b2
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.devices.device import Device

from dendrosim.job import Built, Job
from dendrosim.toolchain import compiler_version, machine

NAME, DEVICE = "cpp", "cpp_standalone"

# Brian2's own flags, of which -fno-finite-math-only keeps isnan meaningful, and two that let GCC
# vectorise the loop over neurons: glibc declares its vector functions only to who says
# __FAST_MATH__ (which -fno-finite-math-only takes back), and Brian2's many arrays need more checks
# for overlap than GCC makes by default.
FLAGS = (
    "-w", "-O3", "-ffast-math", "-fno-finite-math-only", "-march=native", "-std=c++11",
    "-D__FAST_MATH__", "--param=vect-max-version-for-alias-checks=200",
)  # fmt: skip


# In float32 a literal such as 1.0 must not turn the arithmetic around it into double
SINGLE_FLAGS = ("-fsingle-precision-constant",)

# Brian2's own exprel and clip branch and compute in double; these vectorise in either type
_FUNCTIONS = {
    "exprel": """
template <typename T> static inline T _exprel(const T x)
{
    const T least = sizeof(T) == 4 ? 1e-6 : 1e-12;
    const T z = std::fabs(x) < least ? least : x;
    return std::expm1(z)/z;
}
""",
    "clip": """
template <typename T> static inline T _clip(const T value, const T low, const T high)
{
    const T raised = value < low ? low : value;
    return raised > high ? high : raised;
}
template <typename T, typename L, typename H>
static inline T _clip(const T value, const L low, const H high)
{
    return _clip<T>(value, (T)low, (T)high);
}
""",
}


def configure(job: Job, threads: int) -> None:
    """Set Brian2's preferences for a build."""
    single = SINGLE_FLAGS if job.dtype == "float32" else ()
    b2.prefs.codegen.cpp.extra_compile_args_gcc = [*FLAGS, *single]
    b2.prefs.codegen.cpp.headers = ["<chrono>", "<cmath>"]  # of `main_loop`
    b2.prefs.devices.cpp_standalone.openmp_threads = threads if threads > 1 else 0
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{os.cpu_count() or 1}"]


def fingerprint() -> list[str]:
    """Return what a compiled program depends on besides its text: compiler, flags, machine."""
    return [*FLAGS, *SINGLE_FLAGS, *_FUNCTIONS.values(), compiler_version(), machine()]


@contextlib.contextmanager
def functions() -> Iterator[None]:
    """Give Brian2's C++ generator our text of the functions that keep a loop from vectorising."""
    kept = {}
    for name, code in _FUNCTIONS.items():
        table = DEFAULT_FUNCTIONS[name].implementations
        kept[name] = table._implementations.get(CPPCodeGenerator)
        table.add_implementation(CPPCodeGenerator, code=code, name=f"_{name}")
    try:
        yield
    finally:
        for name, implementation in kept.items():
            DEFAULT_FUNCTIONS[name].implementations._implementations[CPPCodeGenerator] = (
                implementation
            )


# Often enough to name the time of a divergence, seldom enough to cost nothing
PIECE = "steps/100 < 100 ? steps/100 : 100"
SYNCHRONISE = ""


def to_host(device: Device, variable: object) -> str:
    """Return C++ that makes a variable readable: nothing to do here."""
    return ""


def prepare(device: Device, built: Built) -> str:
    """Return C++ that comes before the loop: nothing to do here."""
    return ""
