"""Code specific to CUDA standalone (brian2cuda): toolkit, preferences, main loop.

The only module that uses the code of brian2cuda, which is an optional dependency because of its
licence, the GPL.  Generating source needs neither a GPU nor a toolkit, checking it needs a
toolkit, and running it needs both.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import brian2 as b2
from brian2.core.variables import Variable
from brian2.devices.device import Device

from dendrosim.devices import cuda_toolkit
from dendrosim.devices.job import Built, Job
from dendrosim.devices.program_cache import cache_folder

NAME, DEVICE = "CUDA", "cuda_standalone"
# All steps in one run: brian2cuda's StateMonitor allocates memory only for the samples of the
# first run, and a second run would write beyond it
PIECE = "steps"
SIZED = False  # the number of neurons is compiled in, because the grid of threads depends on it
START = ""
# brian2cuda converts file names to lower case
AS_READ = "for (char& letter : value) letter = std::tolower((unsigned char)letter);"


def configure(job: Job, threads: int) -> None:
    """Set the preferences that current CUDA versions need; comments give the reasons."""
    cuda_toolkit.import_brian2cuda()
    for name in ("brian2cuda", "brian2.brian2cuda"):  # Brian2 prefixes names of loggers
        logging.getLogger(name).setLevel(logging.WARNING)  # hides the path of CUDA
    toolkit, gpu = cuda_toolkit.find_toolkit(), cuda_toolkit.has_gpu()
    backend = b2.prefs.devices.cuda_standalone.cuda_backend
    if toolkit is None:
        backend.detect_cuda = False
        backend.cuda_path = "/nonexistent"
        backend.cuda_runtime_version = 13.0
    else:
        backend.cuda_path = str(toolkit.root)
    if not gpu:
        backend.detect_gpus = False
        backend.gpu_id = 0
        backend.compute_capability = cuda_toolkit.COMPUTE_CAPABILITY
    # The headers of CUDA 13 need C++17 in nvcc and the host compiler; the default here is C++11
    backend.extra_compile_args_nvcc = ["-w", "-std=c++17"]
    cpp = b2.prefs.codegen.cpp
    cpp.extra_compile_args_gcc = ["-w", "-O2", "-std=c++17"]
    cpp.headers = ["<chrono>", "<cmath>"]
    if toolkit is not None and toolkit.curand_include and toolkit.curand_library:
        cpp.include_dirs = [*cpp.include_dirs, str(toolkit.curand_include)]
        cpp.library_dirs = [*cpp.library_dirs, str(_linkable(toolkit.curand_library))]
        cpp.runtime_library_dirs = [*cpp.runtime_library_dirs, str(toolkit.curand_library)]
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{_jobs()}"]
    b2.prefs.devices.cpp_standalone.openmp_threads = 0


def _jobs() -> int:
    """Return the number of parallel nvcc processes: each needs about 0.8 GB of memory."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, int(free / 1e9)))


def _linkable(folder: Path) -> Path:
    """Return a folder with a libcurand.so, because a wheel has only libcurand.so.10."""
    if (folder / "libcurand.so").exists():
        return folder
    link = cache_folder() / "curand"
    link.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (link / "libcurand.so").symlink_to(sorted(folder.glob("libcurand.so*"))[0])
    return link


def fingerprint() -> list[str]:
    """Return what a compiled program depends on in addition to its source."""
    toolkit = cuda_toolkit.find_toolkit()
    if toolkit is None:
        return ["no toolkit"]
    nvcc = toolkit.root / "bin" / "nvcc"
    run = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    return [_POWER, str(toolkit.root), run.stdout]


# CUDA's pow takes about a hundred instructions; with a float and an integer exponent it uses double
_POWER = """
template <typename T> static __host__ __device__ inline T _dendrosim_power(T x, const int n)
{
    T result = 1;
    for (int left = n < 0 ? -n : n; left; left >>= 1, x *= x)
        if (left & 1) result *= x;
    return n < 0 ? 1/result : result;
}
static __host__ __device__ inline double _brian_pow(const double x, const int n)
{
    return _dendrosim_power(x, n);
}
static __host__ __device__ inline float _brian_pow(const float x, const int n)
{
    return _dendrosim_power(x, n);
}
template <typename X, typename Y>
static __host__ __device__ inline auto _brian_pow(const X x, const Y y) -> decltype(pow(x, y))
{
    return pow(x, y);
}
"""


@contextlib.contextmanager
def own_code() -> Iterator[None]:
    """Use our power function in brian2cuda's generator; its other functions suit the GPU."""
    from brian2cuda import cuda_generator

    generator = cuda_generator.CUDACodeGenerator
    kept, cuda_generator._pow_support_code = cuda_generator._pow_support_code, _POWER
    generator.universal_support_code = None  # cached with the old power function
    try:
        yield
    finally:
        cuda_generator._pow_support_code = kept
        generator.universal_support_code = None


def write_headers(folder: Path) -> None:
    """Copy the headers that the code includes into a project: none for CUDA."""


@contextlib.contextmanager
def building(job: Job, threads: int, folder: Path) -> Iterator[None]:
    """Provide precompiled headers during a build: none for CUDA."""
    yield


def before_make(folder: Path) -> None:
    """Reduce the compile time: nothing to do for CUDA."""


def make_portable(folder: Path) -> None:
    """Change the makefile so that ``make NVCC=nvcc ARCH=native`` works on another machine."""
    makefile = folder / "makefile"
    text = makefile.read_text()
    (arch,) = set(re.findall(r"-arch=(\S+)", text))
    makefile.write_text(f"ARCH = {arch}\n" + text.replace(f"-arch={arch}", "-arch=$(ARCH)"))


def advance(built: Built) -> str:
    """Return C++ that runs the steps from `done` to `next` with brian2cuda's loop."""
    name = built.network.name
    return f"""
    {name}.t = done*dt;
    {name}.run(next*dt - done*dt, NULL, 10.0);
    CUDA_SAFE_CALL(cudaDeviceSynchronize());
    """


def check(device: Device, variable: Variable, limit: float) -> str:
    """Return C++ that sets `bad` to the first index at which a variable exceeds a limit."""
    name = device.get_array_name(variable)
    size = f"sizeof({name}[0])*{variable.size}"
    return f"""
    CUDA_SAFE_CALL(cudaMemcpy({name}, dev{name}, {size}, cudaMemcpyDeviceToHost));
    for (int j = 0; j < {variable.size} && bad < 0; j++)
        if (!std::isfinite({name}[j]) || std::fabs({name}[j]) > {limit!r}) bad = j;
    """


def mark(array: str, size: int, limit: float) -> str:
    """Return C++ that marks diverging neurons: none, because states are checked only at the end."""
    return ""


def check_written(device: Device, variables: Sequence[Any]) -> tuple[str, str]:
    """Return C++ that compares output files with their arrays: none for CUDA."""
    return "", ""


def prepare(device: Device, built: Built) -> str:
    """Return C++ that sets the addresses of the arrays that device functions read."""
    lines = []
    for variable in built.read_by_functions:
        name = device.get_array_name(variable)
        lines.append(f"CUDA_SAFE_CALL(cudaMemcpyToSymbol(d{name}, &dev{name}, sizeof(dev{name})));")
    return "\n".join(lines)
