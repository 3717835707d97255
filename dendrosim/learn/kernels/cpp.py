"""Fused kernels for the processor: a step of a layer, forward and adjoint, as one compiled loop.

The forward product of spikes and recurrent weights is a sum over the neurons that spiked.  The
backward products are not sparse, so torch computes them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from dendrosim.learn.kernels import cpp_library, spike_products
from dendrosim.learn.kernels.kernel import Kernel, each_step_back
from dendrosim.learn.kernels.support import SUPPORT, library

#: Minimum number of neuron-steps for which a second thread is worth its start-up time.
WORTHWHILE = 8_000

_SOURCE = """
#include <cmath>
#include <limits>
#include <omp.h>
#include <vector>
#define INLINE static inline
#define INFINITE std::numeric_limits<T>::infinity()
typedef {type} T;
{library}
{support}
{spikes}
struct Arguments {{
    long batch, neurons, stride;   // stride: from a state to the next, 0 where none is kept
    const T* const* values;        // parameters: one number, or one a neuron
    T* ports;                      // (steps, batch, ports*neurons)
    const T* recurrent;            // (neurons, ports*neurons), weights by who fired
    const T* before;               // (batch, neurons), spikes before the first step
    T* const* states;              // each (steps + 1, batch, neurons)
    T* spikes;                     // (steps, batch, neurons)
    const T* by_spikes;            // (steps, batch, neurons)
    const T* by_recurrent;         // (batch, neurons), from the step after
    T* const* by_states;           // each (batch, neurons)
    T* by_ports;                   // (steps, batch, ports*neurons)
    T* sums;                       // (active values, neurons), of a step
    double* totals;                // (active values, neurons), of all steps
}};

// This thread's part of n, a multiple of some unit
static inline void share(long n, long unit, long* first, long* last)
{{
    const long threads = omp_get_num_threads(), k = omp_get_thread_num();
    const long part = ((n + threads - 1)/threads + unit - 1)/unit*unit;
    *first = k*part < n ? k*part : n;
    *last = (k + 1)*part < n ? (k + 1)*part : n;
}}

extern "C" void forward(const Arguments* a, long steps, int keep)
{{
    const long n = a->neurons;
{values}
    #pragma omp parallel if (a->batch*n*steps > {worthwhile})
    {{
{range}
    for (long t = 0; t < steps; t++)
    for (long b = first_sample; b < last_sample; b++) {{
{before}
{after}
        T* const row_spikes = a->spikes + (t*a->batch + b)*n;
{gather}
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
    long first, last;  // neurons of its own, so no sum over samples or steps is shared
    share(n, 16, &first, &last);
    for (long t = end - 1; t >= begin; t--) {{
        for (long k = 0; k < {n_active}; k++)
            for (long j = first; j < last; j++) a->sums[k*n + j] = 0;
        for (long b = 0; b < a->batch; b++) {{
{before}
{by_before}
            const T* const row_by_spikes = a->by_spikes + (t*a->batch + b)*n;
            const T* const row_by_recurrent = a->by_recurrent + b*n;
            #pragma GCC ivdep
            for (long j = first; j < last; j++) {{
{load}
{load_kept}
{load_by}
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

# without recurrence: neurons are independent and are divided between the threads
_APART = """
    long first, last;
    const long first_sample = 0, last_sample = a->batch;
    share(n, 16, &first, &last);
"""

# with recurrence: neurons of a sample interact, so samples are divided between the threads
_TOGETHER = """
    long first_sample, last_sample;
    const long first = 0, last = n, width = {count}*n;
    share(a->batch, 1, &first_sample, &last_sample);
    std::vector<int> who(n + 1);
    std::vector<T> current(width);
"""

_GATHER = """
        const T* const fired = t > 0 ? a->spikes + ((t - 1)*a->batch + b)*n : a->before + b*n;
        for (long k = 0; k < width; k++) current[k] = 0;
        add_rows(fired, who.data(), who_fired(fired, n, who.data()), a->recurrent, width,
                 current.data(), 0, width);
"""


class Arguments(ctypes.Structure):
    """The arguments of a kernel; the fields match the C++ structure."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("batch", "neurons", "stride")),
        *((name, ctypes.c_void_p) for name in (
            "values", "ports", "recurrent", "before", "states", "spikes", "by_spikes",
            "by_recurrent", "by_states", "by_ports", "sums", "totals",
        )),
    ]  # fmt: skip


class CppKernel(Kernel):
    """The steps of a layer as loops over samples and neurons."""

    def forward(
        self, values: Sequence[Tensor], drive: Tensor, recurrent: Tensor | None,
        states: Sequence[Tensor], before: Tensor, spikes: Tensor, keep: bool,
    ) -> None:  # fmt: skip
        """Run all steps."""
        steps, batch, n = spikes.shape
        by_who = None if recurrent is None else recurrent.T.contiguous()
        arguments = _arguments(
            batch=batch, neurons=n, stride=batch * n if keep else 0, values=values, ports=drive,
            recurrent=by_who, before=before, states=states, spikes=spikes,
        )  # fmt: skip
        self._function("forward", ctypes.c_long, ctypes.c_int)(arguments, steps, keep)

    def backward(
        self, values: Sequence[Tensor], drive: Tensor, recurrent: Tensor | None,
        states: Sequence[Tensor], by_spikes: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Run the adjoint of all steps."""
        steps, batch, n = by_spikes.shape
        by_drive = torch.empty_like(drive)
        by_before = drive.new_zeros((batch, n))
        active = max(len(self.code.active), 1)
        totals = torch.zeros((active, n), dtype=torch.float64)
        arguments = _arguments(
            batch=batch, neurons=n, stride=batch * n, values=values, ports=drive, states=states,
            by_spikes=by_spikes, by_recurrent=by_before,
            by_states=[drive.new_zeros((batch, n)) for _ in states], by_ports=by_drive,
            sums=drive.new_empty((active, n)), totals=totals,
        )  # fmt: skip
        run = self._function("backward", ctypes.c_long, ctypes.c_long)
        if recurrent is None:
            run(arguments, 0, steps)
        else:
            each_step_back(lambda t: run(arguments, t, t + 1), by_drive, recurrent, by_before)
        return by_drive, totals

    @property
    def source(self) -> str:
        """The C++ source."""
        code = self.code
        return _SOURCE.format(
            type=code.type, library=library("std"), support=SUPPORT, worthwhile=WORTHWHILE,
            spikes=spike_products.SUPPORT if code.recurrent else "",
            range=_TOGETHER.format(count=len(code.ports)) if code.recurrent else _APART,
            gather=_GATHER if code.recurrent else "",
            n_active=len(code.active), code=_lines(code.forward), adjoint=_lines(code.adjoint),
            **self._memory(),
        )  # fmt: skip

    def _memory(self) -> dict[str, str]:
        """Return the code that locates, reads and writes the arrays."""
        code, count = self.code, len(self.code.ports)
        row = "(t*a->batch + b)"
        before = [f"T* const port_{name} = a->ports + ({row}*{count} + {k})*n;"
                  for k, name in enumerate(code.ports)]  # fmt: skip
        before += [f"const T* const before_{name} = a->states[{k}] + t*a->stride + b*n;"
                   for k, name in enumerate(code.carried)]  # fmt: skip
        after = [f"T* const after_{name} = a->states[{k}] + (t + 1)*a->stride + b*n;"
                 for k, name in enumerate(code.carried)]  # fmt: skip
        by_before = [f"T* const row_by_{name} = a->by_states[{k}] + b*n;"
                     for k, name in enumerate(code.carried)]  # fmt: skip
        by_before += [f"T* const by_port_{name} = a->by_ports + ({row}*{count} + {k})*n;"
                      for k, name in enumerate(code.ports)]  # fmt: skip
        values = [f"const T* const value_{name} = a->values[{k}];"
                  for k, (name, _) in enumerate(code.values)]  # fmt: skip
        values += [f"const T in_{name} = *value_{name};"
                   for name, each in code.values if not each]  # fmt: skip
        load = [f"const T in_{name} = value_{name}[j];" for name, each in code.values if each]
        load += [f"const T in_{name} = before_{name}[j];" for name in code.carried]
        load += [f"const T in_{name} = 0;" for name in code.silent]
        kept = [f"const T in_{name} = port_{name}[j];" for name in code.ports]
        summed = [
            f"const T in_{name} = port_{name}[j] + current[{k}*n + j];"
            for k, name in enumerate(code.ports)
        ]
        load_by = [f"const T by_{name} = row_by_{name}[j];" for name in code.carried]
        load_by += ["const T by_spikes = row_by_spikes[j];"]
        store = [f"after_{name}[j] = {code.after(name)};" for name in code.carried]
        store += [f"row_spikes[j] = {code.after(code.output)};"]
        if code.recurrent:
            load_by += ["const T by_recurrent = row_by_recurrent[j];"]
            store += [f"if (keep) port_{name}[j] = in_{name};" for name in code.ports]
        by_store = [f"row_by_{name}[j] = d_in_{name};" for name in code.carried]
        by_store += [f"by_port_{name}[j] = d_in_{name};" for name in code.ports]
        by_store += [f"a->sums[{k}*n + j] += d_in_{name};" for k, name in enumerate(code.active)]
        return {
            name: _lines(lines) for name, lines in {
                "values": values, "before": before, "after": after, "by_before": by_before,
                "load": load, "load_kept": kept, "load_sum": summed if code.recurrent else kept,
                "load_by": load_by, "store": store, "by_store": by_store,
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
        return cpp_library.load(self.source)

    def _function(self, name: str, *types: type) -> Callable[..., None]:
        function = getattr(self.library, name)
        function.argtypes = [ctypes.POINTER(Arguments), *types]
        function.restype = None
        return function


def _arguments(**fields: Any) -> Arguments:
    """Return the C structure, with references that keep its arrays alive."""
    arguments = Arguments()
    arguments.held = fields
    for name, value in fields.items():
        if isinstance(value, list):
            value = (ctypes.c_void_p * max(len(value), 1))(*(t.data_ptr() for t in value))
            setattr(arguments, name, ctypes.cast(value, ctypes.c_void_p))
            arguments.held = arguments.held | {f"{name} pointers": value}
        elif isinstance(value, Tensor):
            setattr(arguments, name, value.data_ptr())
        elif value is not None:
            setattr(arguments, name, value)
    return arguments


def _lines(lines: list[str]) -> str:
    return "\n".join(f"            {line}" for line in lines)
