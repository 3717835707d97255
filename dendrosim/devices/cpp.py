"""Code specific to C++ standalone: compiler, flags, vectorisable functions, main loop."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import brian2 as b2
import numpy as np
from brian2.codegen.generators.cpp_generator import CPPCodeGenerator
from brian2.codegen.templates import Templater
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.variables import DynamicArrayVariable, Variable
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.device import Device, get_device

from dendrosim.devices.compiler import compiler_version, machine, precompiled
from dendrosim.devices.job import Built, Job

NAME, DEVICE = "cpp", "cpp_standalone"

# Brian2's default flags, including -fno-finite-math-only, without which isnan does not work, and
# flags with which GCC vectorises the loop over neurons:
# - __FAST_MATH__: glibc declares its vector functions only if it is defined, and
#   -fno-finite-math-only undefines it;
# - alias checks: Brian2's many arrays need more checks for overlap than GCC's default limit;
# - no jump threading: it creates branches that cannot be vectorised;
# - scheduling: the long chains of statements of a step are interleaved before register allocation.
# -fno-associative-math keeps the order of the sums in exponential.h, which they depend on.
FLAGS = (
    "-w", "-O3", "-ffast-math", "-fno-finite-math-only", "-fno-associative-math", "-march=native",
    "-std=c++11", "-D__FAST_MATH__", "--param=vect-max-version-for-alias-checks=200",
    "-fno-thread-jumps", "-fschedule-insns", "-fsched-pressure",
)  # fmt: skip


# In float32 a literal such as 1.0 must not convert an expression to double
SINGLE_FLAGS = ("-fsingle-precision-constant",)

_HEADERS = ("exponential.h", "dense.h", "finite.h", "system.h")
_PREFIX = "prefix.h"

# These replace functions of Brian2 and libm that branch, need a call or compute in double
_FUNCTIONS = {
    name: f"template <typename T> static inline auto _{name}(const T x)"
    f" -> decltype(dendrosim::{name}(x)) {{ return dendrosim::{name}(x); }}"
    for name in ("exp", "expm1", "exprel", "sinh", "cosh", "tanh")
} | {
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
    b2.prefs.codegen.cpp.extra_compile_args_gcc = _flags(job)
    b2.prefs.codegen.cpp.headers = ["<chrono>", "<cmath>", *(f'"{name}"' for name in _HEADERS)]
    b2.prefs.devices.cpp_standalone.openmp_threads = threads if threads > 1 else 0
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{os.cpu_count() or 1}"]


def _flags(job: Job) -> list[str]:
    return [*FLAGS, *(SINGLE_FLAGS if job.dtype == "float32" else ())]


def fingerprint() -> list[str]:
    """Return what a program depends on in addition to its source: compiler, flags, machine."""
    texts = (path.read_text() for path in sorted(_folder().iterdir()))
    return [*FLAGS, *SINGLE_FLAGS, *_FUNCTIONS.values(), *texts, compiler_version(), machine()]


def write_headers(folder: Path) -> None:
    """Copy the headers that the code includes into a project."""
    for name in _HEADERS:
        shutil.copyfile(_folder() / name, folder / name)


@contextlib.contextmanager
def building(job: Job, threads: int, folder: Path) -> Iterator[None]:
    """Provide the header that every file includes, precompiled, during a build."""
    shutil.copyfile(_folder() / _PREFIX, folder / _PREFIX)
    get_device().extra_compile_args = ["-include", _PREFIX]
    parallel = ["-fopenmp"] if threads > 1 else []
    parsed = precompiled(_folder() / _PREFIX, [*_flags(job), *parallel])
    link = folder / f"{_PREFIX}.gch"
    if parsed:
        link.symlink_to(parsed.absolute())
    try:
        yield
    finally:
        link.unlink(missing_ok=True)


def before_make(folder: Path) -> None:
    """Reduce the compile time where it does not make a run slower.

    ``objects.cpp`` creates, reads and writes arrays.  It takes a third of the compile time but
    runs outside the loop, therefore it is compiled without optimisation.  The list of header
    dependencies is emptied: only someone who edits the source needs it.
    """
    objects = folder / "objects.cpp"
    objects.write_text('#pragma GCC optimize ("O0")\n' + objects.read_text())
    (folder / "make.deps").write_text("")


def _folder() -> Path:
    return Path(str(files("dendrosim.devices"))) / "cpp_sources"


@cache
def _templates() -> Templater:
    derive = CPPStandaloneCodeObject.templater.derive
    return derive("dendrosim.devices", ".cpp", templates_dir="cpp_sources")


@contextlib.contextmanager
def own_code() -> Iterator[None]:
    """Use dendrosim's functions and templates in Brian2's C++ generator."""
    kept = {}
    for name, code in _FUNCTIONS.items():
        table = DEFAULT_FUNCTIONS[name].implementations
        kept[name] = table._implementations.get(CPPCodeGenerator)
        table.add_implementation(CPPCodeGenerator, code=code, name=f"_{name}")
    templates, CPPStandaloneCodeObject.templater = CPPStandaloneCodeObject.templater, _templates()
    try:
        yield
    finally:
        CPPStandaloneCodeObject.templater = templates
        for name, implementation in kept.items():
            DEFAULT_FUNCTIONS[name].implementations._implementations[CPPCodeGenerator] = (
                implementation
            )


# Steps between checks: few enough to report the time of a divergence, many enough to be cheap
PIECE = "steps/100 < 100 ? steps/100 : 100"
AS_READ = ""  # Brian2 does not change file names
SIZED = True  # a program reads the number of neurons, see `group_size`
# A program ends when its parent process ends, even by SIGKILL.  SIGXFSZ (file size limit reached)
# does not kill it, so that it can report the file
START = """
#ifdef SIGXFSZ
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is named at the end
#endif
#ifdef __linux__
    if (const char* parent = std::getenv("DENDROSIM_PARENT"))
    {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != atol(parent)) return 1;
    }
#endif
"""


def advance(built: Built) -> str:
    """Return C++ that runs the steps from `done` to `next`.

    Brian2's own loop reads the processor time from the system in every step, which takes longer
    than a step of a few neurons.
    """
    clocks = {f"brian::{built.clock.name}": 1}
    clocks |= {f"brian::{clock.name}": every for clock, every in built.slower.items()}
    due = " || ".join(f"(at == &{clock} && step % {every} == 0)" for clock, every in clocks.items())
    ticks = "\n".join(
        f"if (step % {every} == 0) {clock}.tick();" for clock, every in clocks.items()
    )
    return f"""
    for (int64_t step = done; step < next; step++)
    {{
        for (const auto& object : {built.network.name}.objects)
        {{
            const auto* at = object.first;  // Clock, from Brian2 2.10 on BaseClock
            if (object.second && ({due})) object.second();
        }}
        {ticks}
    }}
    """


def check(device: Device, variable: Variable, limit: float) -> str:
    """Return C++ that sets `bad` to the first index at which a variable exceeds a limit."""
    array = device.get_array_name(variable)
    first = f"dendrosim::first_beyond({array}, {variable.size}, {limit!r})"
    return f"if (!freeze && bad < 0) bad = {first};"


def mark(array: str, size: int, limit: float) -> str:
    """Return C++ that marks the neurons whose state has exceeded a limit since the last check."""
    return f"dendrosim::mark_beyond({array}, {size}, {limit!r}, frozen, now);"


def check_written(device: Device, variables: Sequence[Any]) -> tuple[str, str]:
    """Return C++, for before and after the end, that compares output files with their arrays.

    Brian2 does not check whether its files were written: on a full disk they are too short.
    """
    rows = []
    for variable in variables:
        dynamic = isinstance(variable, DynamicArrayVariable)
        name = device.get_array_name(variable, access_data=not dynamic)
        number = variable.size
        if dynamic:
            number = f"{name}.size()" if variable.ndim == 1 else f"{name}.n*{name}.m"
        file = Path(device.get_array_filename(variable)).name
        item = np.dtype(variable.dtype).itemsize
        rows.append(f'{{"{file}", (long long)({number})*{item}}},')
    before = f"""
    const std::vector<std::pair<std::string, long long>> outputs = [] {{
        using namespace brian;
        return std::vector<std::pair<std::string, long long>>{{
            {" ".join(rows)}
        }};
    }}();
    """
    return before, _CHECK_WRITTEN


_CHECK_WRITTEN = """
    for (const auto& output : outputs)
    {
        std::ifstream file(brian::results_dir + output.first, std::ios::binary | std::ios::ate);
        const long long bytes = file ? (long long)file.tellg() : -1;
        if (bytes != output.second)
        {
            std::cerr << brian::results_dir << output.first << " has " << bytes << " bytes of "
                << output.second << ": the disk may be full" << std::endl;
            return 3;
        }
        std::cout << "array " << output.first << " " << bytes << std::endl;
    }
"""


def prepare(device: Device, built: Built) -> str:
    """Return C++ to run before the loop: none for C++ standalone."""
    return ""
