"""CUDA C++ of a layer's step: the loops over time around `StepCode`, and what they read and write.

`forward` and `backward` give each neuron of each sample a thread.  In `forward_samples` and
`backward_samples` a block of threads is a sample of a recurrent layer.
"""

from __future__ import annotations

from dendrosim.learn.kernels.adjoint import SUPPORT, library
from dendrosim.learn.kernels.step_code import StepCode

#: Neurons of a sample that one block can have.
WIDEST = 512

#: Threads of a block where each goes its own way.
THREADS = 128

WARP = 32

# Weights that a thread reads ahead of their use
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

# The compiler reads few weights ahead of their use unless it is told to: a wait for each
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
    """Return type and name of each member of the structure that a kernel is given."""
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
    parts = _parts(code)
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


def _parts(code: StepCode) -> dict[str, str]:
    """Return the code that reads and writes the arrays."""
    ports = list(enumerate(code.ports))
    active = list(enumerate(code.active))
    # what a step reads of each array, into which variable
    ahead = {f"next_{name}": f"m.ports[PORT(t, {k})]" for k, name in ports}
    behind = {
        **{f"kept_{name}": f"m.ports[PORT(t, {k})]" for k, name in ports},
        **{f"kept_{name}": f"m.state_{name}[t*m.stride + cell]" for name in code.carried},
        "kept_by_spikes": "m.by_spikes[t*cells + cell]",
    }
    silent = [f"const T in_{name} = 0;" for name in code.silent]
    now = [f"const T in_{name} = now_{name};" for name in code.carried] + silent
    current = " + m.currents[(b*{count} + {k})*m.n + j]" if code.recurrent else ""
    taken = [f"const T in_{name} = next_{name}{current.format(count=len(ports), k=k)};"
             for k, name in ports]  # fmt: skip
    store = [f"m.spikes[step*cells + cell] = {code.after(code.output)};"]
    store += [f"m.state_{name}[(step + 1)*m.stride + cell] = {code.after(name)};"
              for name in code.carried]  # fmt: skip
    if code.recurrent:
        store += [f"m.ports[PORT(step, {k})] = in_{name};" for k, name in ports]
    lines = {
        "values": [f"const T in_{name} = m.value_{name}[{'j' if each else '0'}];"
                   for name, each in code.values],
        "start": [f"T now_{name} = m.state_{name}[m.begin*m.stride + cell];"
                  for name in code.carried],
        "fetch": [f"T {name} = {place};" for name, place in ahead.items()],
        "refetch": [f"{name} = {place};" for name, place in ahead.items()],
        "take": taken + now,
        "sums": [f"T sum_{name} = 0;" for name in code.ports],
        "weigh": [f"weight[k][{k}] = __ldg(row + {k}*n);" for k, _ in ports],
        "sum_up": [f"sum_{name} = math::fma(spike, weight[k][{k}], sum_{name});"
                   for k, name in ports],
        "sum_one": [f"sum_{name} = math::fma(spike, __ldg(row + {k}*n), sum_{name});"
                    for k, name in ports],
        "take_sums": [f"const T in_{name} = next_{name} + sum_{name};"
                      for name in code.ports] + now,
        "code": code.forward,
        "store": store,
        "carry": [f"now_{name} = {code.after(name)};" for name in code.carried],
        "start_back": [
            *(f"T by_{name} = m.by_state_{name}[cell];" for name in code.carried),
            *(f"double total_{name} = 0;" for name in code.active),
        ],
        "fetch_back": [f"T {name} = {place};" for name, place in behind.items()],
        "refetch_back": [f"{name} = {place};" for name, place in behind.items()],
        "take_back": [
            *(f"const T in_{name} = kept_{name};" for name in (*code.ports, *code.carried)),
            *silent,
            "const T by_spikes = kept_by_spikes;",
        ],
        "by_before": ["const T by_recurrent = m.by_before[cell];"] if code.recurrent else [],
        "adjoint": code.adjoint,
        "store_back": [f"m.by_ports[PORT(step, {k})] = d_in_{name};" for k, name in ports],
        "store_row": [f"row[{k}*n + j] = d_in_{name};" for k, name in ports],
        "carry_back": [
            *(f"by_{name} = d_in_{name};" for name in code.carried),
            *(f"total_{name} += d_in_{name};" for name in code.active),
        ],
        "end_back": [
            *(f"m.by_state_{name}[cell] = by_{name};" for name in code.carried),
            *(f"m.totals[{k}*cells + cell] += total_{name};" for k, name in active),
        ],
    }  # fmt: skip
    return {
        part: "\n".join(f"        {line}" for line in written) for part, written in lines.items()
    }
