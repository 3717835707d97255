"""Dense connections as a Brian2 function: ``connection(i, t)`` returns the current of neuron i.

A layer of a trained network has one dense matrix, which all samples of a batch share.  Brian2's
synapses would store a copy of each weight per sample.  This function reads a single matrix and
adds the rows whose source is not 0 (spikes are sparse), once for all neurons of a sample.
There is an implementation for each device; the loops for C++ are in cpp_sources/dense.h.
"""

from __future__ import annotations

from typing import Any

import brian2 as b2
import numpy as np
from brian2.devices.device import get_device


def dense(
    name: str, sources: b2.NeuronGroup, variable: str, weights: b2.NeuronGroup, n_in: int, n: int
) -> b2.Function:
    """Return the function ``name(i, t)``: the weighted sum of the sources of neuron i at time t.

    Parameters
    ----------
    name
        Name of the function.
    sources, variable
        Group of batch*n_in neurons, and the name of its variable to sum.
    weights
        Group of n_in*n entries whose variable ``w`` holds the transposed weights, row by row.
    n_in, n
        Numbers of sources and targets per sample.

    Notes
    -----
    The sums of a sample are cached for the calls for its neurons, which follow each other.  Each
    thread has its own cache; a new time or sample replaces it.  Sums have the type of the weights.
    """
    source, table = sources.variables[variable], weights.variables["w"]

    def on_numpy(i: Any, t: Any) -> np.ndarray:
        s = source.get_value().reshape(-1, n_in)
        return (s @ table.get_value().reshape(n_in, n)).ravel()[np.asarray(i)]

    function = b2.Function(
        on_numpy, arg_units=[1, b2.second], return_unit=1, arg_types=["integer", "float"],
        return_type="float", stateless=False,
    )  # fmt: skip
    real = "float" if table.dtype == np.float32 else "double"
    sizes = {"NAME": name, "N_IN": str(n_in), "N": str(n), "REAL": real}
    function.implementations.add_implementation("numpy", on_numpy, name=name)

    def on_cython(owner: Any) -> str:
        return _filled(_CYTHON, sizes)

    def on_cpp(owner: Any) -> str:
        device = get_device()
        arrays = {"SOURCE": device.get_array_name(source), "TABLE": device.get_array_name(table)}
        return _filled(_CPP, sizes | arrays)

    function.implementations.add_dynamic_implementation(
        "cython", on_cython, name=name,
        namespace=lambda owner: {
            f"{name}_source": source.get_value(), f"{name}_table": table.get_value(),
            f"{name}_sums": np.zeros(n, table.dtype), f"{name}_key": np.full(2, -1.0),
        },
    )  # fmt: skip

    def on_cuda(owner: Any) -> str:
        device = get_device()
        arrays = {"SOURCE": device.get_array_name(source), "TABLE": device.get_array_name(table)}
        return _filled(_CUDA, sizes | arrays)

    for target, code in (("cpp", on_cpp), ("cuda", on_cuda)):
        function.implementations.add_dynamic_implementation(
            target, code, name=name, namespace=lambda owner: {}
        )
    return function


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"%{word}%", value)
    return text


_CPP = """
static %REAL% %NAME%(const int32_t i, const double t)
{
    static thread_local %REAL% sums[%N%];
    static thread_local int64_t sample = -1;
    static thread_local double time = -1;
    const int64_t now = i/%N%;
    if (now != sample || t != time)
    {
        sample = now;
        time = t;
        dendrosim::weighted_rows<%N_IN%, %N%>(
            brian::%SOURCE% + now*%N_IN%, brian::%TABLE%, sums
        );
    }
    return sums[i - now*%N%];
}
"""

# One thread per neuron: adjacent threads read adjacent weights, and the branch is the same for all
# neurons of a sample.  cuda.prepare sets brian::d... before the loop.
_CUDA = """
static __device__ %REAL% %NAME%(const int32_t i, const double t)
{
    const int64_t now = i/%N%;
    const int64_t j = i - now*%N%;
    %REAL% sum = 0;
    for (int k = 0; k < %N_IN%; k++)
    {
        const %REAL% s = brian::d%SOURCE%[now*%N_IN% + k];
        if (s != 0) sum += s*brian::d%TABLE%[(int64_t)k*%N% + j];
    }
    return sum;
}
"""

_CYTHON = """
cdef %REAL% %NAME%(const int i, const double t):
    global _namespace%NAME%_source
    global _namespace%NAME%_table
    global _namespace%NAME%_sums
    global _namespace%NAME%_key
    cdef int now = i//%N%
    cdef int j, k
    cdef %REAL% s
    if _namespace%NAME%_key[0] != now or _namespace%NAME%_key[1] != t:
        _namespace%NAME%_key[0] = now
        _namespace%NAME%_key[1] = t
        for j in range(%N%):
            _namespace%NAME%_sums[j] = 0
        for k in range(%N_IN%):
            s = _namespace%NAME%_source[now*%N_IN% + k]
            if s != 0:
                for j in range(%N%):
                    _namespace%NAME%_sums[j] += s*_namespace%NAME%_table[k*%N% + j]
    return _namespace%NAME%_sums[i - now*%N%]
"""
