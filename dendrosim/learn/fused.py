"""A layer's whole run as one operation of autograd, on fused kernels.

What is left to torch are the matrix products: that of the input weights for all steps at once, that
of the recurrent weights step by step, and their transposes on the way back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dendrosim.learn.kernels import Arguments, Kernel
from dendrosim.learn.surrogates import SURROGATES
from dendrosim.toolchain import has_compiler

if TYPE_CHECKING:
    from dendrosim.learn.torch_network import TorchLayer

TYPES = {torch.float32: "float", torch.float64: "double"}


@dataclass(frozen=True)
class Run:
    """What of a run is not a tensor that autograd follows.

    Attributes
    ----------
    kernel
        The compiled step.
    initial
        Name of each carried variable and of the output to its value before the first step, a
        number or shape (n,).
    keep
        Whether the states of all steps are kept, for the way back or for who asked for them.
    """

    kernel: Kernel
    initial: Mapping[str, Tensor]
    keep: bool


class _Steps(torch.autograd.Function):
    """All steps of a layer: (T, B, ports*n) of current to (T + 1, B, n) of spikes."""

    @staticmethod
    def forward(ctx: Any, run: Run, drive: Tensor, recurrent: Tensor | None, *values: Tensor):
        kernel = run.kernel
        steps, batch, width = drive.shape
        n = width // len(kernel.ports)
        kept = steps + 1 if run.keep else 1
        states = {name: drive.new_empty((kept, batch, n)) for name in kernel.carried}
        for name, state in states.items():
            state[0] = run.initial[name]
        output = states.get(kernel.output)
        if output is None:
            output = drive.new_empty((kept, batch, n))
            output[0] = run.initial[kernel.output]
        spikes = output[1:] if run.keep else drive.new_empty((steps, batch, n))
        values = [value.contiguous() for value in values]
        by_spikes = drive.new_empty((batch, width)) if recurrent is not None else None
        arguments = _arguments(
            batch=batch, neurons=n, stride=batch * n if run.keep else 0, values=values,
            ports=drive, recurrent=by_spikes, states=list(states.values()), output=output,
        )  # fmt: skip
        if recurrent is None and run.keep:
            kernel.forward(arguments, 0, steps, 1)
        else:
            _step_by_step(kernel, arguments, output, spikes, recurrent, by_spikes, run.keep)
        ctx.run, ctx.shape = run, (steps, batch, n)
        ctx.save_for_backward(drive, recurrent, output, *values, *states.values())
        ctx.mark_non_differentiable(*states.values())
        ctx.set_materialize_grads(False)
        return spikes, *states.values()

    @staticmethod
    def backward(ctx: Any, by_spikes: Tensor, *_: Tensor | None):
        kernel = ctx.run.kernel
        steps, batch, n = ctx.shape
        drive, recurrent, output, *rest = ctx.saved_tensors
        values, states = rest[: len(kernel.values)], rest[len(kernel.values) :]
        by_drive = torch.empty_like(drive)
        by_before = drive.new_zeros((batch, n))
        by_states = [drive.new_zeros((batch, n)) for _ in states]
        active = max(len(kernel.active), 1)
        totals = torch.zeros((active, n), dtype=torch.float64)
        by_spikes = drive.new_zeros(ctx.shape) if by_spikes is None else by_spikes.contiguous()
        arguments = _arguments(
            batch=batch, neurons=n, stride=batch * n, values=values, ports=drive, states=states,
            output=output, by_output=by_spikes, by_recurrent=by_before, by_states=by_states,
            by_ports=by_drive, sums=drive.new_empty((active, n)), totals=totals,
        )  # fmt: skip
        if recurrent is None:
            kernel.backward(arguments, 0, steps)
            by_recurrent = None
        else:
            rows = by_drive.unbind(0)
            for t in range(steps - 1, -1, -1):
                kernel.backward(arguments, t, t + 1)
                torch.mm(rows[t], recurrent, out=by_before)
            by_recurrent = by_drive.flatten(0, 1).T @ output[:-1].flatten(0, 1)
        found = dict(zip(kernel.active, totals.to(drive.dtype), strict=False))
        by_values = [
            None if name not in found else found[name] if each else found[name].sum()
            for name, each in kernel.values
        ]
        return None, by_drive, by_recurrent, *by_values


def _step_by_step(
    kernel: Kernel, arguments: Arguments, output: Tensor, spikes: Tensor,
    recurrent: Tensor | None, by_spikes: Tensor | None, keep: bool,
) -> None:  # fmt: skip
    fired = output.unbind(0)
    for t, row in enumerate(spikes.unbind(0)):
        if recurrent is not None:
            torch.mm(fired[t if keep else 0], recurrent.T, out=by_spikes)
        kernel.forward(arguments, t, t + 1, int(keep))
        if not keep:
            row.copy_(fired[0])


def _arguments(**fields: Any) -> Arguments:
    """Return the C structure; it holds on to what it points into."""
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


def run_steps(
    run: Run, drive: Tensor, recurrent: Tensor | None, values: Sequence[Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run all steps of a layer.

    Parameters
    ----------
    run
        Kernel and initial state.
    drive
        Current of every step from below, ports side by side, shape (T, B, ports*n).  It is
        overwritten with the whole current.
    recurrent
        Weights of the layer's own spikes, ports one below the other, shape (ports*n, n).
    values
        Parameters in the order of the kernel, numbers or shape (n,).

    Returns
    -------
    spikes : Tensor
        Shape (T, B, n), differentiable.
    states : dict
        Carried variables after each step, shape (T, B, n), where they were kept.
    """
    spikes, *states = _Steps.apply(run, drive, recurrent, *values)
    kept = {
        name: state[1:] for name, state in zip(run.kernel.carried, states, strict=True) if run.keep
    }
    return spikes, kept


def fits(layer: TorchLayer, x: Tensor, record: Sequence[str]) -> bool:
    """Return whether a layer can run on a kernel: on the CPU, with a compiler, on known states."""
    if x.device.type != "cpu" or x.dtype not in TYPES or not x.numel():
        return False
    if set(record) - set(layer.step.carried) or (record and torch.is_grad_enabled()):
        return False
    return has_compiler()


def run_layer(
    layer: TorchLayer, x: Tensor, record: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a layer on its kernel; arguments and results are those of `TorchLayer.forward`."""
    tables = layer.input_weights, layer.recurrent_weights, layer.bias
    ports = layer.layer.model.inputs.values()
    weighted = [port for port in ports if any(port in table for table in tables)]
    values = layer.values()
    read = set().union(*(statement.expression.names for statement in layer.step.statements))
    values = {name: value for name, value in values.items() if name in read}
    grad = torch.is_grad_enabled()
    kernel = _kernel(
        tuple(layer.step.statements), tuple(weighted),
        tuple(port for port in ports if port not in weighted),
        len(layer.recurrent_weights) > 0, layer.step.carried, layer.layer.model.output,
        tuple((name, value.ndim > 0) for name, value in values.items()),
        tuple(name for name, value in values.items() if value.requires_grad and grad),
        layer.step.surrogate, layer.step.width, TYPES[x.dtype],
    )  # fmt: skip
    drive = _drive(layer, weighted, x.transpose(0, 1))
    recurrent = _stacked(layer.recurrent_weights, weighted, (layer.layer.n, layer.layer.n), x)
    needed = grad and any(
        tensor is not None and tensor.requires_grad
        for tensor in (drive, recurrent, *values.values())
    )
    initial = layer.initial((x.shape[0], layer.layer.n), x)
    run = Run(kernel, initial, needed or bool(record))
    spikes, states = run_steps(run, drive, recurrent, list(values.values()))
    return spikes.transpose(0, 1), {name: states[name].transpose(0, 1) for name in record}


@lru_cache(maxsize=256)
def _kernel(*fields: Any) -> Kernel:
    *rest, surrogate, width, type_ = fields
    return Kernel(*rest, SURROGATES[surrogate].expression, width, type_)


def _drive(layer: TorchLayer, ports: Sequence[str], x: Tensor) -> Tensor:
    """Return the current from below, (T, B, ports*n), as memory of its own."""
    bias = _stacked(layer.bias, ports, (layer.layer.n,), x)
    weights = _stacked(layer.input_weights, ports, (layer.layer.n, layer.layer.n_in), x)
    if weights is not None:
        return nn.functional.linear(x, weights, bias)
    zero = x.new_zeros((*x.shape[:2], len(ports) * layer.layer.n))
    return zero if bias is None else zero + bias


def _stacked(
    table: nn.ParameterDict, ports: Sequence[str], shape: tuple[int, ...], like: Tensor
) -> Tensor | None:
    """Return the arrays of all ports one below the other, zeros for a port that has none."""
    if not len(table):
        return None
    return torch.cat([table[port] if port in table else like.new_zeros(shape) for port in ports])
