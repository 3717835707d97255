"""Products of spikes and weights as sums over the neurons that spiked, if these are few.

A matrix product also multiplies by every 0 of a spike train.  If 2 to 20 of 100 neurons spike in
a step, the sum needs only that many additions.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dendrosim.learn.kernels import cpp_library

#: Share of spiking neurons per step below which the sums are faster than the matrix product;
#: see `benchmarks/spike_products.py`.
SPARSE = 0.5

#: Minimum number of additions for which a second thread is worth its start-up time.
WORTHWHILE = 100_000

#: Code required before uses of `who_fired` and `add_rows`; ``T`` is the number type.
SUPPORT = """
// What the compiler adds in one piece; not at one of its own addresses
typedef T Lane __attribute__((vector_size(64), aligned(sizeof(T)), may_alias));
enum { LANE = 64/sizeof(T), LANES = 8 };

// Lists who fired, in order; returns how many.  Has room for one more.
static inline long who_fired(const T* spikes, long n, int* who)
{
    long count = 0, first = 0;
    while (first < n) {
        const long last = first + LANE < n ? first + LANE : n;
        int any = 0;
        for (long i = first; i < last; i++) any |= spikes[i] != 0;
        if (any)
            for (long i = first; i < last; i++) {
                who[count] = i;
                count += spikes[i] != 0;
            }
        first = last;
    }
    return count;
}

template <int lanes>
static inline void add_lanes(const T* height, const int* who, long count, const T* rows, long width,
                             T* out)
{
    Lane sum[lanes];
    #pragma GCC unroll 8
    for (int l = 0; l < lanes; l++) sum[l] = *(const Lane*)(out + l*LANE);
    for (long q = 0; q < count; q++) {
        const T by = height[who[q]];
        const T* const row = rows + who[q]*width;
        #pragma GCC unroll 8
        for (int l = 0; l < lanes; l++) sum[l] += by**(const Lane*)(row + l*LANE);
    }
    #pragma GCC unroll 8
    for (int l = 0; l < lanes; l++) *(Lane*)(out + l*LANE) = sum[l];
}

// out[first..last) += sum over who of height*row, row by row
static void add_rows(const T* height, const int* who, long count, const T* rows, long width,
                     T* out, long first, long last)
{
    long k = first;
    for (; k + LANES*LANE <= last; k += LANES*LANE)
        add_lanes<LANES>(height, who, count, rows + k, width, out + k);
    for (; k + LANE <= last; k += LANE)
        add_lanes<1>(height, who, count, rows + k, width, out + k);
    if (k < last)
        for (long q = 0; q < count; q++)
            for (long r = k; r < last; r++) out[r] += height[who[q]]*rows[who[q]*width + r];
}
"""

_SOURCE = """
#include <omp.h>
#include <vector>
typedef {type} T;
{support}
// out (count, width) = bias (width) + spikes (count, n) @ weights (n, width)
extern "C" void product(const T* spikes, long count, long n, const T* weights, long width,
                        const T* bias, T* out)
{{
    #pragma omp parallel if (count*n > {worthwhile})
    {{
        std::vector<int> who(n + 1);
        #pragma omp for schedule(static)
        for (long b = 0; b < count; b++) {{
            for (long k = 0; k < width; k++) out[b*width + k] = bias[k];
            add_rows(spikes + b*n, who.data(), who_fired(spikes + b*n, n, who.data()),
                     weights, width, out + b*width, 0, width);
        }}
    }}
}}

// out (n, width) += spikes (count, n).T @ slopes (count, width)
extern "C" void outer(const T* spikes, long count, long n, const T* slopes, long width, T* out)
{{
    // as many rows as the first cache holds of one piece of their width
    const long piece = LANES*LANE, rows = 24576/(piece*sizeof(T));
    #pragma omp parallel if (count*n > {worthwhile})
    {{
        // a thread has neurons of its own, so no sum is shared
        const long part = (n + omp_get_num_threads() - 1)/omp_get_num_threads();
        const long low = part*omp_get_thread_num(), high = low + part < n ? low + part : n;
        const long own = low < high ? high - low : 0;
        std::vector<int> who(own + 1), number(own), when(own*rows);
        std::vector<T> height(own*rows), sum(piece);
        for (long b = 0; b < count; b += rows) {{
            const long many = b + rows < count ? rows : count - b;
            for (long i = 0; i < own; i++) number[i] = 0;
            for (long r = 0; r < many; r++) {{
                const T* const row = spikes + (b + r)*n + low;
                const long found = who_fired(row, own, who.data());
                for (long q = 0; q < found; q++) {{
                    const long i = who[q];
                    when[i*rows + number[i]++] = r;
                    height[i*rows + r] = row[i];
                }}
            }}
            for (long first = 0; first < width; first += piece) {{
                const long last = first + piece < width ? first + piece : width;
                for (long i = 0; i < own; i++) {{
                    T* const to = out + (low + i)*width;
                    if (number[i] < 4) {{
                        add_rows(&height[i*rows], &when[i*rows], number[i], slopes + b*width,
                                 width, to, first, last);
                        continue;
                    }}
                    // many small sums round less than one large one
                    for (long k = 0; k < last - first; k++) sum[k] = 0;
                    add_rows(&height[i*rows], &when[i*rows], number[i],
                             slopes + b*width + first, width, sum.data(), 0, last - first);
                    for (long k = first; k < last; k++) to[k] += sum[k - first];
                }}
            }}
        }}
    }}
}}
"""


class _SpikeProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spikes: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(spikes, weights)
        ctx.has_bias = bias is not None
        out = spikes.new_empty((*spikes.shape[:-1], len(weights)))
        start = spikes.new_zeros(len(weights)) if bias is None else bias.contiguous()
        _call("product", spikes, weights.T.contiguous(), start, out)
        return out

    @staticmethod
    def backward(ctx: Any, by_out: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        spikes, weights = ctx.saved_tensors
        by_out = by_out.contiguous()
        by_spikes = by_out @ weights if ctx.needs_input_grad[0] else None
        by_bias = by_out.flatten(0, -2).sum(0) if ctx.has_bias else None
        return by_spikes, _outer(spikes, by_out), by_bias


def linear(x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """Compute `torch.nn.functional.linear`, with sums over the spikes if few neurons spike.

    Parameters
    ----------
    x
        Shape (T, B, n_in).
    weights
        Shape (n, n_in).
    bias
        Shape (n,).
    """
    if not is_sparse(x):
        return torch.nn.functional.linear(x, weights, bias)
    return _SpikeProduct.apply(x.contiguous(), weights, bias)


def by_weights(spikes: Tensor, by_current: Tensor) -> Tensor:
    """Return the derivative with respect to the weights of a product, shape (n, n_in).

    Parameters
    ----------
    spikes
        Shape (T, B, n_in).
    by_current
        Derivative with respect to the current, shape (T, B, n).
    """
    if is_sparse(spikes):
        return _outer(spikes, by_current)
    return by_current.flatten(0, 1).T @ spikes.flatten(0, 1)


def _outer(spikes: Tensor, by_current: Tensor) -> Tensor:
    out = spikes.new_zeros((spikes.shape[-1], by_current.shape[-1]))
    _call("outer", spikes.contiguous(), by_current.contiguous(), out)
    return out.T


def is_sparse(x: Tensor) -> bool:
    """Return whether few entries are nonzero, estimated from some of the steps."""
    if x.device.type != "cpu" or x.shape[-1] < 16:
        return False
    some = x[:: max(len(x) // 16, 1)]
    return int(some.count_nonzero()) < SPARSE * some.numel()


def _call(name: str, spikes: Tensor, matrix: Tensor, *others: Tensor) -> None:
    n = spikes.shape[-1]
    getattr(_library(spikes.dtype), name)(
        spikes.data_ptr(), spikes.numel() // n, n, matrix.data_ptr(), matrix.shape[-1],
        *(other.data_ptr() for other in others),
    )  # fmt: skip


@cache
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    kind = {torch.float32: "float", torch.float64: "double"}[dtype]
    library = cpp_library.load(_SOURCE.format(type=kind, support=SUPPORT, worthwhile=WORTHWHILE))
    size, array = ctypes.c_long, ctypes.c_void_p
    library.product.argtypes = [array, size, size, array, size, array, array]
    library.outer.argtypes = [array, size, size, array, size, array]
    library.product.restype = library.outer.restype = None
    return library
