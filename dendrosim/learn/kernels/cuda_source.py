"""CUDA C++ for the step of a layer: the loops over time around `StepCode`, and memory access.

`forward` and `backward` use one thread per neuron of each sample.  `forward_samples` and
`backward_samples` use one block of threads per sample of a recurrent layer.
"""

from __future__ import annotations

from dendrosim.learn.kernels.cuda_parts import parts_of
from dendrosim.learn.kernels.step_code import StepCode
from dendrosim.learn.kernels.support import SUPPORT, library

#: Maximum number of neurons of a sample per block.
WIDEST = 512

#: Threads per block if neurons are independent.
THREADS = 128

WARP = 32

# number of weights that a thread loads in advance
_AHEAD = 16

_SOURCE = """
#define INLINE static __device__ __forceinline__
#define INFINITE T(__longlong_as_double(0x7ff0000000000000ll))
typedef {type} T;
{library}
{support}
struct Memory {{                          // eight bytes each, as numpy's int64 lies
    {members}
}};
// Place of port k of this thread's neuron in step t
#define PORT(t, k) ((((t)*m.batch + b)*{count} + (k))*m.n + j)

extern "C" __global__ void __launch_bounds__({threads}) forward(const Memory m)
{{
    const long long cells = m.batch*m.n, cell = blockIdx.x*(long long)blockDim.x + threadIdx.x;
    if (cell >= cells) return;
    const long long b = cell/m.n, j = cell%m.n;
{values}
{start}
    long long t = m.begin;
{fetch}
    while (t < m.end) {{
{take}
        const long long step = t++;
        if (t < m.end) {{  // ahead of its use, which would wait for the memory
{refetch}
        }}
{code}
{store}
{carry}
    }}
}}

extern "C" __global__ void __launch_bounds__({threads}) backward(const Memory m)
{{
    const long long cells = m.batch*m.n, cell = blockIdx.x*(long long)blockDim.x + threadIdx.x;
    if (cell >= cells) return;
    const long long b = cell/m.n, j = cell%m.n;
{values}
{start_back}
    long long t = m.end - 1;
{fetch_back}
    while (t >= m.begin) {{
{take_back}
{by_before}
        const long long step = t--;
        if (t >= m.begin) {{
{refetch_back}
        }}
{code}
{adjoint}
{store_back}
{carry_back}
    }}
{end_back}
}}
{samples}
"""

# explicit prefetch: the compiler alone loads few weights in advance and then waits for each
_SAMPLES = """
struct alignas(4*sizeof(T)) Four {{ T part[4]; }};  // read at once

extern "C" __global__ void __launch_bounds__({widest}, 1) forward_samples(const Memory m)
{{
    __shared__ unsigned masks[{warps}];    // of each warp, who fired
    __shared__ int who[{widest}];          // the neurons that fired, in order
    __shared__ T height[{widest}];         // and their spikes
    const int n = m.n, lane = threadIdx.x%{warp}, warp = threadIdx.x/{warp};
    const bool here = threadIdx.x < n;     // others do as the last one does, and write nothing
    const long long cells = m.batch*m.n, b = blockIdx.x, j = here ? threadIdx.x : n - 1;
    const long long cell = b*n + j;
{values}
{start}
    T fired = here ? m.before[cell] : T(0);
    long long t = m.begin;
{fetch}
    while (t < m.end) {{
        const unsigned mask = __ballot_sync(0xffffffffu, fired != 0);
        if (lane == 0) masks[warp] = mask;
        __syncthreads();
        int place = __popc(mask & ((1u << lane) - 1)), count = 0;
        for (int w = 0; w < blockDim.x/{warp}; w++) {{
            const int found = __popc(masks[w]);
            place += w < warp ? found : 0;
            count += found;
        }}
        if (fired != 0) {{
            who[place] = threadIdx.x;
            height[place] = fired;
        }}
        __syncthreads();
{sums}
        int q = 0;
        for (; q + {ahead} <= count; q += {ahead}) {{
            T weight[{ahead}][{count}];
            #pragma unroll
            for (int k = 0; k < {ahead}; k++) {{
                const T* const row = m.weights + (long long)who[q + k]*{count}*n + j;
{weigh}
            }}
            #pragma unroll
            for (int k = 0; k < {ahead}; k++) {{
                const T spike = height[q + k];
{sum_up}
            }}
        }}
        for (; q < count; q++) {{
            const T* const row = m.weights + (long long)who[q]*{count}*n + j;
            const T spike = height[q];
{sum_one}
        }}
{take_sums}
        const long long step = t++;
        if (t < m.end) {{
{refetch}
        }}
{code}
        fired = here ? {fired} : T(0);
        if (here) {{
{store}
        }}
{carry}
    }}
}}

extern "C" __global__ void __launch_bounds__({widest}, 1) backward_samples(const Memory m)
{{
    extern __shared__ Four rows[];         // derivatives by the currents, of two steps in turn
    const int n = m.n, width = {count}*n;
    const bool here = threadIdx.x < n;
    const long long cells = m.batch*m.n, b = blockIdx.x, j = here ? threadIdx.x : n - 1;
    const long long cell = b*n + j;
{values}
{start_back}
    T by_recurrent = 0;
    long long t = m.end - 1;
{fetch_back}
    while (t >= m.begin) {{
        Four* const fours = rows + (t%2)*((width + 3)/4);
        T* const row = fours->part;
{take_back}
{code}
{adjoint}
        const long long step = t--;
        if (here) {{
{store_back}
{store_row}
        }}
{carry_back}
        __syncthreads();
        if (t >= m.begin) {{
{refetch_back}
        }}
        by_recurrent = 0;
        int i = 0;
        for (; i + {ahead} <= width; i += {ahead}) {{
            T weight[{ahead}];
            #pragma unroll
            for (int k = 0; k < {ahead}; k++) weight[k] = __ldg(m.weights + (i + k)*n + j);
            #pragma unroll
            for (int k = 0; k < {ahead}; k += 4) {{
                const Four four = fours[(i + k)/4];
                #pragma unroll
                for (int l = 0; l < 4; l++)
                    by_recurrent = math::fma(four.part[l], weight[k + l], by_recurrent);
            }}
        }}
        for (; i < width; i++)
            by_recurrent = math::fma(row[i], __ldg(m.weights + i*n + j), by_recurrent);
    }}
    if (here) {{
{end_back}
    }}
}}
"""


def members(code: StepCode) -> list[tuple[str, str]]:
    """Return type and name of each member of a kernel's argument structure."""
    return [
        *(("long long", name) for name in ("begin", "end", "batch", "n", "stride")),
        ("T*", "ports"), ("const T*", "currents"), ("const T*", "weights"),
        ("const T*", "before"), ("T*", "spikes"), ("const T*", "by_spikes"),
        ("const T*", "by_before"), ("T*", "by_ports"), ("double*", "totals"),
        *(("const T*", f"value_{name}") for name, _ in code.values),
        *(("T*", f"state_{name}") for name in code.carried),
        *(("T*", f"by_state_{name}") for name in code.carried),
    ]  # fmt: skip


def source(code: StepCode) -> str:
    """Return the CUDA C++ of all kernels of a step."""
    parts = parts_of(code)
    samples = ""
    if code.recurrent:
        samples = _SAMPLES.format(
            count=len(code.ports), widest=WIDEST, warp=WARP, warps=WIDEST // WARP,
            ahead=_AHEAD,
            fired=code.after(code.output), **parts,
        )  # fmt: skip
    return _SOURCE.format(
        type=code.type, library=library(""), support=SUPPORT, threads=THREADS,
        members="\n    ".join(f"{kind} {name};" for kind, name in members(code)),
        count=len(code.ports), samples=samples, **parts,
    )  # fmt: skip
