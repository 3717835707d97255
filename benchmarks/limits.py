"""What a step costs at least on a GPU: bytes and operations, counted in the model's statements.

Brian2 turns the text of a model into statements, one list for each operation of a step, and takes
out of them what is the same for all neurons.  What is left is done for each neuron, and is counted
here: an arithmetic operation is one, a whole power the products it is made of, a function what
CUDA's own takes; a part that stands in the statements twice is counted once.  A state that is
carried from step to step is read and written once a step, a parameter of each neuron is read once,
and what a step makes and uses up itself need not go through memory at all.

The time of a step is at least the larger of bytes over bandwidth and operations over peak.
"""

from __future__ import annotations

import ast
import ctypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Floating-point operations of CUDA's own functions, a multiply-add being two: counted in the PTX
#: that nvcc 13.5 makes for sm_90; a division by its eight multiply-adds in machine code.
FUNCTIONS = {
    "float64": {"exp": 31, "expm1": 35, "exprel": 51, "cosh": 54, "sinh": 69, "tanh": 77,
                "log": 63, "log10": 66, "sqrt": 16, "sin": 27, "cos": 27, "tan": 71, "pow": 143},
    "float32": {"exp": 11, "expm1": 23, "exprel": 39, "cosh": 26, "sinh": 36, "tanh": 31,
                "log": 27, "log10": 28, "sqrt": 16, "sin": 21, "cos": 21, "tan": 38, "pow": 79},
}  # fmt: skip
DIVISION = 16
#: Cores of a multiprocessor for float32 and float64, by compute capability (CUDA C++ Programming
#: Guide, throughput of native arithmetic instructions).
CORES = {
    (7, 0): (64, 32), (7, 5): (64, 2), (8, 0): (64, 32), (8, 6): (128, 2), (8, 9): (128, 2),
    (9, 0): (128, 64), (10, 0): (128, 64), (12, 0): (128, 2),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One operation of a step, for each neuron.

    Attributes
    ----------
    name, group, neurons
        Which it is, of which group, and of how many neurons.
    reads, writes
        Arrays of one value a neuron, name to bytes, in and out.
    operations
        Floating-point operations.
    """

    name: str
    group: str
    neurons: int
    reads: Mapping[str, int]
    writes: Mapping[str, int]
    operations: int


def parts(job: Any) -> list[Part]:
    """Return what a job does in a step, in its order; without what only spikes cause."""
    import brian2 as b2

    b2.BrianLogger.suppress_name("only_threshold")
    target, dtype = b2.prefs.codegen.target, b2.prefs.core.default_float_dtype
    b2.prefs.codegen.target = "numpy"
    b2.prefs.core.default_float_dtype = np.dtype(job.dtype).type
    try:
        with np.errstate(all="ignore"):  # no numbers are put in
            built = job.build()
            built.network.run(0 * b2.second, namespace={})
        seldom = (b2.SpikeMonitor, b2.groups.neurongroup.Resetter)
        return [
            _part(thing, code, job.dtype)
            for thing in built.network.sorted_objects
            if not isinstance(thing, (*seldom, b2.StateMonitor))
            for code in thing.code_objects
        ]
    finally:
        b2.prefs.codegen.target, b2.prefs.core.default_float_dtype = target, dtype


def _part(thing: Any, code: Any, dtype: str) -> Part:
    from brian2.codegen.translation import make_statements
    from brian2.core.variables import ArrayVariable

    arrays = {
        name: np.dtype(variable.dtype).itemsize
        for name, variable in code.variables.items()
        if isinstance(variable, ArrayVariable) and not variable.scalar and name != "i"
    }
    _, statements = make_statements(thing.abstract_code, code.variables, np.dtype(dtype).type)
    reads, writes = {}, {}
    for statement in statements:
        names = {n.id for n in ast.walk(ast.parse(statement.expr)) if isinstance(n, ast.Name)}
        names |= {statement.var} if statement.op not in ("=", ":=") else set()
        reads |= {name: arrays[name] for name in names & arrays.keys() - writes.keys()}
        if statement.var in arrays:
            writes[statement.var] = arrays[statement.var]
    texts = [(statement.var, statement.expr) for statement in statements]
    group = thing.group
    return Part(thing.name, group.name, int(group.N), reads, writes, operations(texts, dtype))


def operations(statements: Iterable[tuple[str, str]], dtype: str) -> int:
    """Count the operations of statements, pairs of a variable and an expression."""
    total, done = 0, {}
    for variable, expression in statements:
        total += _count(ast.parse(expression, mode="eval").body, FUNCTIONS[dtype], done)
        done = {text: names for text, names in done.items() if variable not in names}
    return total


def _count(node: ast.AST, functions: Mapping[str, int], done: dict[str, set[str]]) -> int:
    if isinstance(node, ast.Name | ast.Constant):
        return 0
    text = ast.unparse(node)
    if text in done:
        return 0
    done[text] = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(n))):
            return _count(left, functions, done) + n.bit_length() + n.bit_count() - 2
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return functions["pow"] + sum(_count(side, functions, done) for side in (left, right))
        case ast.BinOp(left=left, op=op, right=right):
            own = DIVISION if isinstance(op, ast.Div) else 1
            return own + sum(_count(side, functions, done) for side in (left, right))
        case ast.Call(func=ast.Name(id=name), args=args):
            return functions.get(name, 0) + sum(_count(arg, functions, done) for arg in args)
        case ast.UnaryOp(operand=operand):  # a sign is part of the operation it goes into
            return _count(operand, functions, done)
        case ast.Compare(left=left, comparators=others):
            return len(others) + sum(_count(side, functions, done) for side in (left, *others))
        case ast.BoolOp(values=values):
            return sum(_count(value, functions, done) for value in values)
    raise ValueError(f"{text!r} cannot be counted")


def least(steps: Sequence[Part]) -> tuple[int, int]:
    """Return bytes and operations of a whole step that no program can do without.

    Parameters
    ----------
    steps
        All parts in their order.
    """
    first_read: dict[tuple[str, str], int] = {}
    written: dict[tuple[str, str], int] = {}
    for part in steps:
        for name, size in part.reads.items():
            if (part.group, name) not in written:
                first_read[part.group, name] = size * part.neurons
        for name, size in part.writes.items():
            written[part.group, name] = size * part.neurons
    carried = sum(size for place, size in written.items() if place in first_read)
    return sum(first_read.values()) + carried, sum(p.operations * p.neurons for p in steps)


def moved(steps: Sequence[Part]) -> int:
    """Return the bytes that go through memory where each part is a program of its own."""
    return sum(part.neurons * sum((*part.reads.values(), *part.writes.values())) for part in steps)


def sums(network: Any, rates: Sequence[float], batch: int, dtype: str) -> tuple[int, int]:
    """Return bytes and operations of a step's weighted sums.

    A spike adds a row of weights; a real input multiplies one.  Every weight is read once a step.

    Parameters
    ----------
    network
        Its layers have a matrix for each port.
    rates
        Spikes per neuron and step of each layer.
    batch
        Samples side by side.
    dtype
        Type of the weights.
    """
    size = np.dtype(dtype).itemsize
    weights, adds, below = 0, 0.0, 2.0
    for layer, rate in zip(network.layers, rates, strict=True):
        for table, share in ((layer.input_weights, below), (layer.recurrent_weights, rate)):
            for matrix in table.values():
                weights += matrix.size
                adds += matrix.size * share
        below = rate
    return weights * size, round(adds * batch)


@dataclass(frozen=True)
class Gpu:
    """A GPU and its limits.

    Attributes
    ----------
    name, capability, multiprocessors, clock, memory, cache
        As the driver tells; Hz, and bytes of memory and of the second-level cache.
    bandwidth
        Bytes a second between GPU and its memory.
    peak
        Type to floating-point operations a second, multiply-adds counted as two.
    """

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    clock: float
    memory: int
    cache: int
    bandwidth: float
    peak: Mapping[str, float]

    def seconds(self, size: float, work: float, dtype: str) -> float:
        """Return the least time for so many bytes and operations.

        Bytes that all fit into the cache need not come from memory.
        """
        moved = size if size > self.cache else 0
        return max(moved / self.bandwidth, work / self.peak[dtype])


def find_gpu(driver: Any = None) -> Gpu | None:
    """Ask the driver for the first GPU; None where there is none.

    Parameters
    ----------
    driver
        The CUDA driver's library, libcuda by default.
    """
    try:
        cuda = driver or ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    if cuda.cuInit(0):
        return None
    device, size, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(100)
    if cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None
    cuda.cuDeviceGetName(name, 100, device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)

    def ask(attribute: int) -> int:
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        return value.value

    # CUdevice_attribute: kHz, count, kHz, bits, bytes, compute capability
    clock, processors, memory_clock, bus, cache, *capability = map(
        ask, (13, 16, 36, 37, 38, 75, 76)
    )
    capability = tuple(capability)
    single, double = CORES[max(known for known in CORES if known <= max(capability, (7, 0)))]
    cycles = 2e3 * clock * processors
    return Gpu(
        name.value.decode(), capability, processors, 1e3 * clock, size.value, cache,
        2e3 * memory_clock * bus / 8, {"float32": single * cycles, "float64": double * cycles},
    )  # fmt: skip
