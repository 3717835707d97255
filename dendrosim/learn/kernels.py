"""Fused kernels: a whole step of a layer, forward and adjoint, as one compiled loop.

The C++ is written from the statements of the model by `adjoint.Tape`, compiled once for a text and
kept beside the compiled programs of Brian2.
"""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from dendrosim.errors import DendrosimError
from dendrosim.learn.adjoint import SUPPORT, Tape
from dendrosim.text import Expression, Statement
from dendrosim.toolchain import cache_folder, compiler, compiler_version, machine, scratch_folder

# Contraction would round a*b + c once where torch rounds twice; -D__FAST_MATH__ shows glibc's
# vector functions to the compiler and changes no arithmetic of ours.
FLAGS = (
    "-O3", "-march=native", "-std=c++17", "-fPIC", "-fopenmp", "-ffp-contract=off",
    "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-D__FAST_MATH__",
)  # fmt: skip

#: Neuron-steps from which a second thread pays for its start.
WORTHWHILE = 8_000

_SOURCE = """
#include <cmath>
#include <limits>
#include <omp.h>
typedef {type} T;
{support}
struct Arguments {{
    long batch, neurons, stride;   // stride: from a state to the next, 0 where none is kept
    const T* const* values;        // parameters: one number, or one a neuron
    T* ports;                      // (steps, batch, ports*neurons)
    const T* recurrent;            // (batch, ports*neurons), of this step
    T* const* states;              // each (steps + 1, batch, neurons)
    T* output;                     // (steps + 1, batch, neurons)
    const T* by_output;            // (steps, batch, neurons)
    const T* by_recurrent;         // (batch, neurons), from the step after
    T* const* by_states;           // each (batch, neurons)
    T* by_ports;                   // (steps, batch, ports*neurons)
    T* sums;                       // (active values, neurons), of a step
    double* totals;                // (active values, neurons), of all steps
}};

// A thread has neurons of its own, so no sum over samples or steps is shared
static inline void share(long n, long* first, long* last)
{{
    const long threads = omp_get_num_threads(), k = omp_get_thread_num();
    const long part = (n/threads + 16)/16*16;
    *first = k*part < n ? k*part : n;
    *last = (k + 1)*part < n && k + 1 < threads ? (k + 1)*part : n;
}}

extern "C" void forward(const Arguments* a, long begin, long end, int keep)
{{
    const long n = a->neurons;
{values}
    #pragma omp parallel if (a->batch*n*(end - begin) > {worthwhile})
    {{
    long first, last;
    share(n, &first, &last);
    for (long t = begin; t < end; t++)
    for (long b = 0; b < a->batch; b++) {{
{before}
{after}
        T* const output = a->output + (keep ? t + 1 : 0)*a->batch*n + b*n;
        #pragma GCC ivdep
        for (long j = first; j < last; j++) {{
{load}
{load_sum}
{code}
{store}
        }}
    }}
    }}
}}

extern "C" void backward(const Arguments* a, long begin, long end)
{{
    const long n = a->neurons;
{values}
    #pragma omp parallel if (a->batch*n*(end - begin) > {worthwhile})
    {{
    long first, last;
    share(n, &first, &last);
    for (long t = end - 1; t >= begin; t--) {{
        for (long k = 0; k < {n_active}; k++)
            for (long j = first; j < last; j++) a->sums[k*n + j] = 0;
        for (long b = 0; b < a->batch; b++) {{
{before}
{by_before}
            const T* const by_output = a->by_output + (t*a->batch + b)*n;
            const T* const by_recurrent = a->by_recurrent + b*n;
            #pragma GCC ivdep
            for (long j = first; j < last; j++) {{
{load}
{load_kept}
{code}
{adjoint}
{by_store}
            }}
        }}
        for (long k = 0; k < {n_active}; k++)
            for (long j = first; j < last; j++) a->totals[k*n + j] += a->sums[k*n + j];
    }}
    }}
}}
"""


class Arguments(ctypes.Structure):
    """What a kernel works on; the fields are those of the C++ structure."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("batch", "neurons", "stride")),
        *((name, ctypes.c_void_p) for name in (
            "values", "ports", "recurrent", "states", "output", "by_output", "by_recurrent",
            "by_states", "by_ports", "sums", "totals",
        )),
    ]  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """A step of a layer as C++.

    Attributes
    ----------
    statements
        Of the model, spikes marked.
    ports
        Those with weights or a bias.
    silent
        Those without: their current is 0.
    recurrent
        Whether the ports see the layer's own spikes too.
    carried
        Variables that one step hands to the next.
    output
        The spike.
    values
        Name of each parameter to whether it is one a neuron.
    active
        Parameters whose derivative is wanted.
    surrogate, width
        Derivative of a spike.
    type
        ``"float"`` or ``"double"``.
    """

    statements: tuple[Statement, ...]
    ports: tuple[str, ...]
    silent: tuple[str, ...]
    recurrent: bool
    carried: tuple[str, ...]
    output: str
    values: tuple[tuple[str, bool], ...]
    active: tuple[str, ...]
    surrogate: Expression
    width: float
    type: str

    @property
    def source(self) -> str:
        """The C++."""
        wanted = frozenset((*self.ports, *self.carried, *self.active))
        tape = Tape(wanted, self.surrogate, self.width)
        tape.read((*self.ports, *self.silent, *self.carried, *(name for name, _ in self.values)))
        tape.add(self.statements)
        code = list(tape.forward)
        seeds = {name: f"by_{name}[j]" for name in self.carried}
        by_output = "by_output[j] + by_recurrent[j]" if self.recurrent else "by_output[j]"
        carried = f"{seeds[self.output]} + " if self.output in seeds else ""
        seeds[self.output] = f"{carried}{by_output}"
        adjoint = tape.backward(seeds)
        return _SOURCE.format(
            type=self.type, support=SUPPORT, worthwhile=WORTHWHILE, n_active=len(self.active),
            code=_lines(code), adjoint=_lines(adjoint), **self._memory(tape),
        )  # fmt: skip

    def _memory(self, tape: Tape) -> dict[str, str]:
        """Return the code that finds, reads and writes the arrays."""
        count = len(self.ports)
        row = "(t*a->batch + b)"
        before = [f"T* const port_{name} = a->ports + ({row}*{count} + {k})*n;"
                  for k, name in enumerate(self.ports)]  # fmt: skip
        before += [f"const T* const before_{name} = a->states[{k}] + t*a->stride + b*n;"
                   for k, name in enumerate(self.carried)]  # fmt: skip
        after = [f"T* const after_{name} = a->states[{k}] + (t + 1)*a->stride + b*n;"
                 for k, name in enumerate(self.carried)]  # fmt: skip
        by_before = [f"T* const by_{name} = a->by_states[{k}] + b*n;"
                     for k, name in enumerate(self.carried)]  # fmt: skip
        by_before += [f"T* const by_port_{name} = a->by_ports + ({row}*{count} + {k})*n;"
                      for k, name in enumerate(self.ports)]  # fmt: skip
        values = [f"const T* const value_{name} = a->values[{k}];"
                  for k, (name, _) in enumerate(self.values)]  # fmt: skip
        values += [f"const T in_{name} = *value_{name};"
                   for name, each in self.values if not each]  # fmt: skip
        load = [f"const T in_{name} = value_{name}[j];" for name, each in self.values if each]
        load += [f"const T in_{name} = before_{name}[j];" for name in self.carried]
        load += [f"const T in_{name} = 0;" for name in self.silent]
        kept = [f"const T in_{name} = port_{name}[j];" for name in self.ports]
        summed = [
            f"const T in_{name} = port_{name}[j] + a->recurrent[(b*{count} + {k})*n + j];"
            for k, name in enumerate(self.ports)
        ]
        store = [f"after_{name}[j] = {tape.names[name]};" for name in self.carried]
        store += [f"output[j] = {tape.names[self.output]};"]
        if self.recurrent:
            store += [f"if (keep) port_{name}[j] = in_{name};" for name in self.ports]
        by_store = [f"by_{name}[j] = d_in_{name};" for name in self.carried]
        by_store += [f"by_port_{name}[j] = d_in_{name};" for name in self.ports]
        by_store += [f"a->sums[{k}*n + j] += d_in_{name};" for k, name in enumerate(self.active)]
        return {
            name: _lines(lines) for name, lines in {
                "values": values, "before": before, "after": after, "by_before": by_before,
                "load": load, "load_kept": kept, "load_sum": summed if self.recurrent else kept,
                "store": store, "by_store": by_store,
            }.items()
        }  # fmt: skip

    @cached_property
    def library(self) -> ctypes.CDLL:
        """The compiled code.

        Raises
        ------
        DendrosimError
            If there is no compiler or it fails.
        """
        return _load(self.source)

    @cached_property
    def forward(self) -> Callable[..., None]:
        """Run steps ``begin`` to ``end``; call with `Arguments`, begin, end, keep."""
        return _function(self.library.forward, ctypes.c_long, ctypes.c_long, ctypes.c_int)

    @cached_property
    def backward(self) -> Callable[..., None]:
        """Run the adjoint from ``end`` to ``begin``; call with `Arguments`, begin, end."""
        return _function(self.library.backward, ctypes.c_long, ctypes.c_long)


def _lines(lines: list[str]) -> str:
    return "\n".join(f"            {line}" for line in lines)


def _function(function: Callable, *types: type) -> Callable[..., None]:
    function.argtypes = [ctypes.POINTER(Arguments), *types]
    function.restype = None
    return function


def _load(source: str) -> ctypes.CDLL:
    text = "\n".join([source, *FLAGS, compiler_version(), machine()])
    key = hashlib.sha256(text.encode()).hexdigest()[:24]
    path = cache_folder() / f"kernel-{key}.so"
    if not path.is_file():
        _compile(source, path)
    return ctypes.CDLL(str(path))


def _compile(source: str, target: Path) -> None:
    folder = scratch_folder(target.stem)
    try:
        file, made, library = (folder / f"kernel.{ending}" for ending in ("cpp", "o", "so"))
        file.write_text(source)
        _call([*compiler(), *FLAGS, "-c", "-o", str(made), str(file)])
        _call([*compiler(), "-shared", "-o", str(library), str(made), *_openmp()])
        library.replace(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _call(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DendrosimError(f"no C++ compiler for the fused kernels: {error}") from None
    if done.returncode:
        raise DendrosimError(f"the fused kernel does not compile: {done.stderr.strip()[:500]}")


def _openmp() -> list[str]:
    """Return the OpenMP library to link: the one that torch brings, where it brings one.

    With two of them two sets of threads would wait for each other, spinning, on the same cores.
    """
    found = sorted(Path(torch.__file__).parent.glob("lib/libgomp*.so*"))
    return [str(found[0])] if found else ["-fopenmp"]
